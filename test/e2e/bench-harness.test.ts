import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { chartOf } from '../../bench/chart.ts'
import { runBench } from '../../bench/run-bench.ts'
import { tableOf } from '../../bench/table.ts'

const TINY = { rounds: 2, seconds: 0.3, warmupSeconds: 0, connections: 4 }
const built = existsSync(fileURLToPath(new URL('../../dist/bin/sessiongate.js', import.meta.url)))

test('peers are proven, measured in rounds, and reported with ratios of the same run', async () => {
  const report = await runBench({ ...TINY, only: ['direct', 'http-proxy', 'express-write'] })

  const [direct, bare, express] = report.rows
  expect(report.rows.map(({ id }) => id)).toEqual(['direct', 'http-proxy', 'express-write'])
  expect(report.measured.map(({ samples }) => samples.length)).toEqual([2, 2, 2])
  expect(direct!.cpuMicros).toBeUndefined()
  expect(bare!.cpuMicros).toBeGreaterThan(0)
  expect(bare!.againstHttpProxy).toBe(1)
  expect(express!.againstHttpProxy).toBeGreaterThan(1)
  expect(express!.peakRssBytes).toBeGreaterThan(20 * 2 ** 20)
  expect(tableOf(report)).toMatch(/bare http-proxy 1\.18\.1 +\d/)
  expect(chartOf(report).match(/<rect /g)).toHaveLength(2)
}, 60_000)

test.runIf(built)('the gateway is proven with and without a session, and judged against the bars', async () => {
  const report = await runBench({ ...TINY, only: ['http-proxy', 'gate-none', 'gate-memory-write', 'gate-redis-write'] })

  expect(report.rows.map(({ id }) => id)).toEqual(['http-proxy', 'gate-none', 'gate-memory-write', 'gate-redis-write'])
  const judged = report.bars.filter(({ ratio }) => ratio !== undefined)
  expect(judged.map(({ id, against }) => `${id}/${against}`)).toEqual(
    ['gate-none/http-proxy', 'gate-redis-write/http-proxy', 'gate-redis-write/gate-none'])
}, 60_000)

test('a target that is not there is named', async () => {
  await expect(runBench({ ...TINY, only: ['nginx'] })).rejects.toThrow(/no such target: nginx; there are direct, http-proxy/)
})
