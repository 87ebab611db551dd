import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { judge } from '../../bench/bars.ts'
import { cpuMicrosOf, peakRssBytesOf, rssBytesOf } from '../../bench/proc-stat.ts'
import { cpuRatio, median } from '../../bench/statistics.ts'
import { verifyAssertion } from '../../bench/verify-assertion.ts'
import type { Measured } from '../../bench/rounds.ts'

function measured(id: string, cpu: readonly number[]): Measured {
  return { id, samples: cpu.map((cpuMicros) => ({ cpuMicros, perSecond: 1, p50Ms: 1, p99Ms: 1, requests: 1, peakRssBytes: 1 })) }
}

test('a ratio is the median of the ratios of neighbouring stretches, not the ratio of medians', () => {
  const all = [measured('http-proxy', [100, 200, 400]), measured('gate-none', [50, 180, 120])]
  expect(cpuRatio(all, 'gate-none', 'http-proxy')).toBe(0.5)
  expect(cpuRatio(all, 'gate-none', 'absent')).toBeUndefined()
  expect(median([4, 1, 3, 2])).toBe(2.5)
})

test('a bar is missed by more than its number, and not judged without both sides', () => {
  const bars = judge([measured('http-proxy', [100]), measured('gate-none', [66]), measured('gate-memory-read', [85])])
  const met = Object.fromEntries(bars.filter(({ against }) => against === 'http-proxy').map(({ id, met }) => [id, met]))
  expect(met).toMatchObject({ 'gate-none': false, 'gate-memory-read': true, 'gate-redis-read': undefined })
})

test('CPU time grows by about what a busy loop burns', () => {
  const before = cpuMicrosOf(process.pid)
  const started = process.cpuUsage()
  const burnt = () => Object.values(process.cpuUsage(started)).reduce((sum, each) => sum + each)
  while (burnt() < 200_000) for (let i = 0; i < 1e6; i++) Math.sqrt(i)
  const used = cpuMicrosOf(process.pid) - before
  expect(used / burnt()).toBeGreaterThan(0.75)
  expect(used / burnt()).toBeLessThan(1.25)
})

test('the resident set and its peak are those of the process', () => {
  expect(rssBytesOf(process.pid)).toBeGreaterThan(20 * 2 ** 20)
  expect(peakRssBytesOf(process.pid)).toBeGreaterThanOrEqual(process.memoryUsage.rss() * 0.5)
})

test('the proof does not take an unsigned or foreign assertion for a session', () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = part({ aud: 'app', exp: Date.now() / 1000 + 60, data: {} })
  const key = { alg: 'HS256', secret: 'x'.repeat(32) } as const
  expect(() => verifyAssertion(`${part({ alg: 'none' })}.${claims}.`, key, 'app')).toThrow(/alg none/)
  expect(() => verifyAssertion(`${part({ alg: 'HS256' })}.${claims}.AAAA`, key, 'app')).toThrow(/wrong signature/)
  const { publicKey } = generateKeyPairSync('ed25519')
  expect(() => verifyAssertion(`${part({ alg: 'EdDSA' })}.${claims}.AAAA`, { alg: 'EdDSA', publicKey }, 'app')).toThrow(/wrong signature/)
})
