import { rmSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { startRelay } from '../support/relay.ts'
import { startRedis, startRedisCluster, startRedisSentinel } from '../support/servers.ts'
import { ANSWER_MS, inAnHour, RECOVERY_MS, serves, TIMEOUT_MS, versionOf } from '../support/store-faults.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor } from '../support/wait-for.ts'


const bytes = Buffer.from('{"user":"ann"}')
const open: SessionStore[] = []
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())))

function openRedis(options: Partial<RedisStoreOptions> & { readonly url: string }): SessionStore {
  const { timeoutMs = TIMEOUT_MS } = options
  const store = guardStore(createRedisStore({ ...options, timeoutMs }), { timeoutMs })
  open.push(store)
  return store
}

describe('an outage', () => {
  test('the circuit answers at once while a stopped server is known to be away', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    server.pause()
    try {
      await Promise.allSettled(Array.from({ length: 10 }, () => store.load('a')))
      const elapsed = startStopwatch()
      await Promise.allSettled(Array.from({ length: 100 }, () => store.load('a')))
      expect(elapsed()).toBeLessThan(TIMEOUT_MS / 2)
    } finally {
      server.resume()
    }
    await serves(store)
  })
})

describe('a server that answers no', () => {
  test('SCRIPT FLUSH passes unseen', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await server.command('SCRIPT', 'FLUSH')
    const next = versionOf(await store.replace('a', version, bytes, inAnHour()))
    await server.command('SCRIPT', 'FLUSH')
    await store.touch('a', inAnHour())
    await server.command('SCRIPT', 'FLUSH')
    expect((await store.destroy('a', inAnHour()))?.version).toBe(next)
  })

  test('out of memory: writes are refused, reads are served, a logout still works, the circuit stays closed', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    for (let round = 0; round < 10; round++) await expect(store.create('b', bytes, inAnHour())).rejects.toThrow(/out of memory/)
    await expect(store.replace('a', version, bytes, inAnHour())).rejects.toThrow(/out of memory/)
    expect((await store.load('a'))?.version).toBe(version)

    expect((await store.destroy('a', inAnHour()))?.version).toBe(version)
    expect(await store.load('a')).toBeUndefined()
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    expect(await store.replace('a', version, bytes, inAnHour())).toEqual({ outcome: 'missing' })
  })

  test('out of memory: a logout whose answer was lost still tells what it ended', async () => {
    await using server = await startRedis()
    await using relay = await startRelay(server.port)
    const store = openRedis({ url: `redis://${relay.address}`, timeoutMs: 2_000 })
    const witness = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    relay.set({ latencyMs: 50 }, 'down')                              // so that the cut comes between the deletion and its answer
    const destroying = store.destroy('a', inAnHour())
    await waitFor(async () => await witness.load('a') === undefined, 'ended record')
    relay.resetAll()
    relay.heal()
    expect((await destroying)?.version).toBe(version)
  })

  test('a server that loads its data: calls are answered in time, and it serves within two seconds of being done', async () => {
    await using server = await startRedis('--key-load-delay', '2000', '--loading-process-events-interval-bytes', '1024')
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await server.command('DEBUG', 'POPULATE', '1500')
    await server.command('SAVE')
    await server.kill()
    let isUp = false
    const restarting = server.restart().then(() => { isUp = true })
    const answers: string[] = []
    while (!isUp) {
      const elapsed = startStopwatch()
      answers.push(await store.load('a').then((record) => record?.version ?? 'absent', String))
      expect(elapsed()).toBeLessThan(ANSWER_MS)
      await nextTurn()
    }
    await restarting
    await serves(store)
    expect((await store.load('a'))?.version).toBe(version)
    expect(answers).not.toContain('absent')
    expect(answers.some((answer) => answer.includes('failed to load'))).toBe(true)
  })

  test('a server that cannot save refuses writes with a remedy, serves reads, and takes writes when it can', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await server.command('CONFIG', 'SET', 'save', '3600 1000000')
    rmSync(server.directory, { recursive: true })
    await server.command('BGSAVE')
    await waitFor(async () => String(await server.command('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'), 'save that failed')
    for (let round = 0; round < 6; round++) await expect(store.replace('a', version, bytes, inAnHour())).rejects.toThrow(/MISCONF.*cannot save/)
    expect((await store.load('a'))?.version).toBe(version)
    await server.command('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
    versionOf(await store.replace('a', version, bytes, inAnHour()))
  })

  test('a read-only replica: writes are refused with a remedy, reads are served', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await using replica = await startRedis('--replicaof', `127.0.0.1 ${server.port}`)
    const reader = openRedis(replica)
    await waitFor(() => reader.load('a').catch(() => undefined), 'replicated record')
    for (let round = 0; round < 10; round++) {
      await expect(reader.replace('a', version, bytes, inAnHour())).rejects.toThrow(/READONLY.*connect to the master/)
    }
    expect((await reader.load('a'))?.version).toBe(version)
    await expect(reader.ping()).rejects.toThrow(/READONLY/)
    await replica.command('REPLICAOF', 'NO', 'ONE')
    await waitFor(() => reader.replace('a', version, bytes, inAnHour()).then(() => true, () => false), 'write on the new master', RECOVERY_MS)
  })

  test('a value of another kind, or of another program, is an outage of that key alone', async () => {
    await using server = await startRedis()
    const store = openRedis(server)
    await serves(store)
    const version = versionOf(await store.create('mine', bytes, inAnHour()))
    await server.command('HSET', 'session:hash', 'field', 'value')
    await server.command('SET', 'session:text', '{"a":1}')
    await server.command('SET', 'session:long', 'R'.repeat(64))
    for (let round = 0; round < 5; round++) {
      await expect(store.load('hash')).rejects.toThrow(/WRONGTYPE/)
      await expect(store.create('hash', bytes, inAnHour())).rejects.toThrow(/WRONGTYPE/)
      for (const key of ['text', 'long']) {
        await expect(store.load(key)).rejects.toThrow(/did not write/)
        await expect(store.create(key, bytes, inAnHour())).rejects.toThrow(/did not write/)
        await expect(store.replace(key, version, bytes, inAnHour())).rejects.toThrow(/did not write/)
      }
    }
    expect(await server.command('GET', 'session:text')).toBe('{"a":1}')
    expect((await store.load('mine'))?.version).toBe(version)
  })

  test('a missing or wrong password, and a missing permission, are named', async () => {
    await using server = await startRedis('--requirepass', 'secret')
    await expect(openRedis(server).ping()).rejects.toThrow(/NOAUTH/)
    await expect(openRedis({ url: server.url, password: 'wrong' }).ping()).rejects.toThrow(/WRONGPASS/)
    await serves(openRedis({ url: server.url, password: 'secret' }))
    await serves(openRedis({ url: server.url.replace('//', '//default:secret@') }))

    await server.command('ACL', 'SETUSER', 'gate', 'on', '>pw', '~session:*', '+@connection', '+@read', '+@scripting', '+set', '+pexpireat', '+setrange', '+del', '+info')
    const gate = openRedis({ url: server.url, username: 'gate', password: 'pw' })
    await serves(gate)
    const version = versionOf(await gate.create('a', bytes, inAnHour()))
    await gate.touch('a', inAnHour())
    expect((await gate.destroy('a', inAnHour()))?.version).toBe(version)
    await server.command('ACL', 'SETUSER', 'gate', '-set')
    await expect(gate.create('b', bytes, inAnHour())).rejects.toThrow(/permission/)
  })
})

describe('several nodes', () => {
  test('a failover that the sentinels decide is followed without a restart', async () => {
    await using sentinel = await startRedisSentinel()
    const store = openRedis({ url: 'redis://', sentinel })
    await waitFor(() => store.ping().then(() => true, () => false), 'store that serves', 5_000)
    const version = versionOf(await store.create('a', bytes, inAnHour()))
    await sentinel.failover()
    // What the old master took before it heard of its demotion is lost (replication is asynchronous): written until it stays.
    const stays = async (): Promise<boolean> => {
      const next = await store.replace('a', version, Buffer.from('after'), inAnHour()).then(versionOf, () => undefined)
      return next !== undefined && (await store.load('a'))?.version === next
    }
    await waitFor(stays, 'write that stays on the new master', RECOVERY_MS)
    expect(String((await store.load('a'))?.bytes)).toBe('after')
  })

  test('a slot that moves under load is followed; a dead node takes only its own keys with it', async () => {
    await using cluster = await startRedisCluster()
    const store = openRedis({ url: 'redis://', cluster: cluster.nodes })
    await waitFor(() => store.ping().then(() => true, () => false), 'store that serves', 5_000)
    const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`)
    for (const key of keys) await store.create(key, Buffer.from(key), inAnHour())

    const [from, to] = cluster.servers
    const ids = await Promise.all(cluster.servers.map((server) => server.command('CLUSTER', 'MYID')))
    let moving = true
    const failures: unknown[] = []
    const reader = (async () => {
      while (moving) {
        for (const key of keys) await store.load(key).then((record) => expect(String(record?.bytes)).toBe(key)).catch((error: unknown) => failures.push(error))
      }
    })()
    for (const key of keys.map((name) => `session:${name}`)) {
      const slot = String(await from!.command('CLUSTER', 'KEYSLOT', key))
      if (Number(slot) >= 5_461) continue
      await to!.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[0]))
      await from!.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[1]))
      await from!.command('MIGRATE', '127.0.0.1', String(to!.port), key, '0', '5000')
      for (const server of [to!, from!, cluster.servers[2]!]) await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', String(ids[1]))
    }
    moving = false
    await reader
    expect(failures).toEqual([])

    await cluster.servers[2]!.kill()
    const loads = await Promise.allSettled(keys.map((key) => store.load(key)))
    expect(loads.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(loads.some(({ status }) => status === 'rejected')).toBe(true)
    await cluster.servers[2]!.restart()
    await waitFor(async () => (await Promise.allSettled(keys.map((key) => store.load(key)))).every(({ status }) => status === 'fulfilled'), 'cluster that serves all keys', 5_000)
  })
})
