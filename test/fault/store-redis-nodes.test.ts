import { afterEach, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { lostIn, startCountingLoad } from '../support/counting-load.ts'
import { startRedisCluster } from '../support/servers.ts'
import { inAnHour, TIMEOUT_MS } from '../support/store-faults.ts'
import { waitFor, within } from '../support/wait-for.ts'

const ANSWER_MS = TIMEOUT_MS + 100
const RECOVERY_MS = 2_000
const KEYS = Array.from({ length: 18 }, (_, index) => `key-${index}`)

const opened: SessionStore[] = []
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

async function openRedis(options: Omit<RedisStoreOptions, 'url'>): Promise<SessionStore> {
  const store = guardStore(createRedisStore({ url: 'redis://', timeoutMs: TIMEOUT_MS, ...options }), { timeoutMs: TIMEOUT_MS })
  opened.push(store)
  await waitFor(() => store.ping().then(() => true, () => false), 'store that serves')
  return store
}

test('a master of a cluster dies under load: its replica serves its keys, the others notice nothing', async () => {
  await using cluster = await startRedisCluster(3, { withReplicas: true })
  const store = await openRedis({ cluster: cluster.nodes })
  const [dying] = cluster.servers
  const [heir] = cluster.replicas
  const mine: string[] = []
  for (const key of KEYS) if (await cluster.masterOf(`session:${key}`) === dying) mine.push(key)
  expect(mine.length).toBeGreaterThan(0)
  expect(mine.length).toBeLessThan(KEYS.length)
  const load = await startCountingLoad(store, KEYS)
  await load.round()
  const safe = load.tallies.map(({ count }) => count)
  await dying!.command('WAIT', '1', '1000')                         // what was acknowledged until here is with the replica
  await dying!.kill()
  await waitFor(async () => String(await heir!.command('INFO', 'replication')).includes('role:master'), 'replica that became a master', 15_000)

  await within((async () => {
    let failures: number
    do {
      failures = load.tallies.reduce((sum, tally) => sum + tally.failures.length, 0)
      await load.round()
    } while (load.tallies.reduce((sum, tally) => sum + tally.failures.length, 0) > failures)
  })(), RECOVERY_MS, 'round without a failure')
  const recovered = load.tallies.map(({ lost }) => lost)
  await load.round()
  const tallies = await load.stop()
  for (const [index, tally] of tallies.entries()) {
    expect(tally.slowestMs).toBeLessThan(ANSWER_MS)
    expect(tally.gone).toBe(false)
    if (mine.includes(tally.key)) {
      expect(tally.fellTo).toBeGreaterThanOrEqual(safe[index]!)
      expect(tally.lost).toBe(recovered[index])
    } else {
      expect(tally).toMatchObject({ failures: [], lost: 0, count: tally.acknowledged })
    }
  }
  expect(await lostIn(store, tallies)).toEqual([])
})

test('a dead master takes only its own keys with it, however many ask for them', async () => {
  await using cluster = await startRedisCluster()
  const store = await openRedis({ cluster: cluster.nodes })
  const keys = Array.from({ length: 90 }, (_, index) => `key-${index}`)
  const [dying] = cluster.servers
  const mine = new Set<string>()
  for (const key of keys) {
    await store.create(key, Buffer.from(key), inAnHour())
    if (await cluster.masterOf(`session:${key}`) === dying) mine.add(key)
  }
  await dying!.kill()
  const failed = new Set<string>()
  for (let round = 0; round < 4; round++) {
    const startedAt = performance.now()
    await Promise.all(keys.map((key) => store.load(key).catch(() => failed.add(key))))
    expect(performance.now() - startedAt).toBeLessThan(ANSWER_MS)
    await Promise.all(keys.filter((key) => !mine.has(key)).map((key) => store.load(key).catch(() => failed.add(key))))
  }
  expect(failed).toEqual(mine)

  await dying!.restart()
  await waitFor(async () => String(await dying!.command('CLUSTER', 'INFO')).includes('cluster_state:ok'), 'node that has its place again', 15_000)
  await waitFor(() => Promise.all([...mine].map((key) => store.load(key))).then(() => true, () => false), 'cluster that serves all keys', RECOVERY_MS)
})
