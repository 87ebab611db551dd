import { afterEach, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { testCertificates } from '../support/certificates.ts'
import { lostIn, startCountingLoad, type CountingLoad } from '../support/counting-load.ts'
import { startRedisCluster, startRedisSentinel } from '../support/servers.ts'
import { ANSWER_MS, inAnHour, RECOVERY_MS, TIMEOUT_MS } from '../support/store-faults.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor, within } from '../support/wait-for.ts'

const KEYS = Array.from({ length: 18 }, (_, index) => `key-${index}`)

const opened: SessionStore[] = []
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

async function openRedis(options: Omit<RedisStoreOptions, 'url'>): Promise<SessionStore> {
  const store = guardStore(createRedisStore({ url: 'redis://', timeoutMs: TIMEOUT_MS, ...options }), { timeoutMs: TIMEOUT_MS })
  opened.push(store)
  await waitFor(() => store.ping().then(() => true, () => false), 'store that serves')
  return store
}

async function roundWithoutFailure(load: CountingLoad): Promise<void> {
  const failures = () => load.tallies.reduce((sum, tally) => sum + tally.failures.length, 0)
  for (let before = NaN; before !== failures();) {
    before = failures()
    await load.round()
  }
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
  await cluster.isFollowed(heir!)

  await within(roundWithoutFailure(load), RECOVERY_MS, 'round without a failure')
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

test.each([
  ['in plain text', { count: 3, isSecure: false }],
  ['in TLS, with an ACL user of the servers and one of the sentinels', { count: 1, isSecure: true }],
])('a master under sentinels dies under load, %s: the replica they choose is followed', async (_name, options) => {
  await using sentinel = await startRedisSentinel(options)
  const secrets = { username: 'gate', password: 'pw', tls: { ca: testCertificates().ca } }
  const watchers = { name: sentinel.name, nodes: sentinel.nodes }
  const store = await openRedis(options.isSecure ? { ...secrets, sentinel: { ...watchers, username: 'watcher', password: 'sw' } } : { sentinel: watchers })
  const load = await startCountingLoad(store, KEYS)
  await load.round()
  const safe = load.tallies.map(({ count }) => count)
  await sentinel.master.command('WAIT', '1', '1000')
  await sentinel.master.kill()
  await sentinel.isFollowed()

  await within(roundWithoutFailure(load), RECOVERY_MS, 'round without a failure')
  const recovered = load.tallies.map(({ lost }) => lost)
  await load.round()
  const tallies = await load.stop()
  for (const [index, tally] of tallies.entries()) {
    expect(tally.slowestMs).toBeLessThan(ANSWER_MS)
    expect(tally.gone).toBe(false)
    expect(tally.fellTo).toBeGreaterThanOrEqual(safe[index]!)
    expect(tally.lost).toBe(recovered[index])
  }
  expect(await lostIn(store, tallies)).toEqual([])
})

test('a password that a sentinel or a server refuses is named', async () => {
  await using sentinel = await startRedisSentinel({ isSecure: true })
  const options = { url: 'redis://', username: 'gate', password: 'pw', tls: { ca: testCertificates().ca }, timeoutMs: 1_000 }
  const watchers = { name: sentinel.name, nodes: sentinel.nodes, username: 'watcher' }
  const open = (more: Partial<RedisStoreOptions>) => {
    const store = createRedisStore({ ...options, ...more })
    opened.push(store)
    return store
  }
  await expect(open({ sentinel: { ...watchers, password: 'wrong' } }).ping()).rejects.toThrow(/sentinel.*WRONGPASS|WRONGPASS.*sentinel/i)
  await expect(open({ sentinel: { ...watchers, password: 'sw' }, password: 'wrong' }).ping()).rejects.toThrow(/WRONGPASS/)
})

test('slots that move under load: every acknowledged write is kept, none is refused', async () => {
  await using cluster = await startRedisCluster()
  const store = await openRedis({ cluster: cluster.nodes })
  const load = await startCountingLoad(store, KEYS)
  const [from, to] = cluster.servers
  const ids = await Promise.all(cluster.servers.map((server) => server.command('CLUSTER', 'MYID')))
  let moved = 0
  for (const key of KEYS.map((name) => `session:${name}`)) {
    if (await cluster.masterOf(key) !== from) continue
    const slot = String(await from.command('CLUSTER', 'KEYSLOT', key))
    await to!.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[0]))
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[1]))
    await load.round()
    await from.command('MIGRATE', '127.0.0.1', String(to!.port), key, '0', '5000')
    await load.round()                                              // the slot is still the old node's: ASK
    for (const server of [to!, from, cluster.servers[2]!]) await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', String(ids[1]))
    await load.round()                                              // MOVED
    moved++
  }
  expect(moved).toBeGreaterThan(2)
  const tallies = await load.stop()
  for (const tally of tallies) {
    expect(tally).toMatchObject({ failures: [], lost: 0, gone: false, count: tally.acknowledged })
    expect(tally.slowestMs).toBeLessThan(ANSWER_MS)
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
    const elapsed = startStopwatch()
    await Promise.all(keys.map((key) => store.load(key).catch(() => failed.add(key))))
    expect(elapsed()).toBeLessThan(ANSWER_MS)
    await Promise.all(keys.filter((key) => !mine.has(key)).map((key) => store.load(key).catch(() => failed.add(key))))
  }
  expect(failed).toEqual(mine)

  await dying!.restart()
  await waitFor(async () => String(await dying!.command('CLUSTER', 'INFO')).includes('cluster_state:ok'), 'node that has its place again', 15_000)
  await waitFor(() => Promise.all([...mine].map((key) => store.load(key))).then(() => true, () => false), 'cluster that serves all keys', RECOVERY_MS)
})
