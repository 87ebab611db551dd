import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs, Version } from '../../src/session/session.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { startRedis, type RedisServer } from '../support/servers.ts'
import { waitFor } from '../support/wait-for.ts'

// What one turn of the event loop asks for goes to Redis at once; each caller gets its own answer all the same.

const COUNT = 150
const bytes = Buffer.from('{"user":"ann"}')
const keys = Array.from({ length: COUNT }, (_, i) => `k${i}`)
const inAnHour = (): EpochMs => (systemClock() + 3_600_000) as EpochMs

async function openStore(server: RedisServer, keyPrefix = 'session:'): Promise<SessionStore> {
  const store = createRedisStore({ url: server.url, timeoutMs: 2_000, keyPrefix })
  onTestFinished(() => store.close())
  await waitFor(() => store.ping().then(() => true, () => false), 'a store that serves')
  return store
}

async function createAll(store: SessionStore): Promise<Version[]> {
  const written = await Promise.all(keys.map((key) => store.create(key, Buffer.concat([bytes, Buffer.from(key)]), inAnHour())))
  return written.map((each) => each.outcome === 'stored' ? each.version : expect.fail(each.outcome))
}

/** How often each command was called since the last time. */
async function calls(server: RedisServer): Promise<Record<string, number>> {
  const info = String(await server.command('INFO', 'commandstats'))
  await server.command('CONFIG', 'RESETSTAT')
  return Object.fromEntries([...info.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)]))
}

describe('many calls of one turn', () => {
  test('are a few commands, and each caller gets the answer for its own key', async () => {
    await using server = await startRedis()
    const store = await openStore(server)
    await calls(server)
    const versions = await createAll(store)
    expect(await calls(server)).toMatchObject({ evalsha: 3, eval: 3 })                // 64 + 64 + 22, by their source since it is new to this server
    expect(new Set(versions).size).toBe(COUNT)

    const loaded = await Promise.all(keys.map((key) => store.load(key)))
    expect(await calls(server)).toEqual(expect.objectContaining({ mget: 3 }))
    expect(loaded.map((record) => record?.version)).toEqual(versions)
    expect(loaded.map((record) => Buffer.from(record!.bytes).toString())).toEqual(keys.map((key) => `${bytes.toString()}${key}`))
  })

  test('one alone is a plain command', async () => {
    await using server = await startRedis()
    const store = await openStore(server)
    await store.create('a', bytes, inAnHour())
    await calls(server)
    await store.load('a')
    expect(await calls(server)).toMatchObject({ get: 1 })
  })

  test('conflicts, tombstones and keys that are not there are each their own', async () => {
    await using server = await startRedis()
    const store = await openStore(server)
    const versions = await createAll(store)
    await store.destroy('k1', inAnHour())
    const written = await Promise.all(keys.map((key, i) => store.replace(key, i === 2 ? 'another' as Version : versions[i]!, bytes, inAnHour())))
    expect(written[1]).toEqual({ outcome: 'missing' })
    expect(written[2]).toMatchObject({ outcome: 'conflict', current: { version: versions[2] } })
    expect(written.filter(({ outcome }) => outcome === 'stored')).toHaveLength(COUNT - 2)
    const loaded = await Promise.all([...keys, 'absent'].map((key) => store.load(key)))
    expect(loaded[1]).toBeUndefined()
    expect(loaded.at(-1)).toBeUndefined()
    expect(loaded.filter((record) => record !== undefined)).toHaveLength(COUNT - 1)
  })

  test.each([
    ['text alone', ['{"a":1}', 'Zoë 🙂', '']],
    ['text and bytes that are none', ['{"a":1}', 'Zoë 🙂', '', Buffer.from([0xff, 0x00, 0x0d, 0x0a, 0xc3]), Buffer.from([0x24, 0x0d, 0x0a])]],
  ])('records of %s arrive byte for byte, under a prefix that is not ASCII', async (_what, contents) => {
    await using server = await startRedis()
    const store = await openStore(server, 'säker:')
    const records = contents.map((content) => Buffer.from(content as string))
    const written = await Promise.all(records.map((record, i) => store.create(`k${i}`, record, inAnHour())))
    expect(written.map(({ outcome }) => outcome)).toEqual(records.map(() => 'stored'))
    const loaded = await Promise.all(records.map((_, i) => store.load(`k${i}`)))
    expect(loaded.map((record) => Buffer.from(record!.bytes).toString('hex'))).toEqual(records.map((record) => record.toString('hex')))
  })

  test('two writers of one key in one turn: one of them wins', async () => {
    await using server = await startRedis()
    const store = await openStore(server)
    const [version] = await createAll(store)
    const written = await Promise.all([1, 2, 3].map(() => store.replace('k0', version!, bytes, inAnHour())))
    expect(written.map(({ outcome }) => outcome).sort()).toEqual(['conflict', 'conflict', 'stored'])
  })

  test.each(['load', 'create', 'replace', 'touch'] as const)('a key of another type fails %s for itself alone, and is never taken for one that is not there', async (operation) => {
    await using server = await startRedis()
    const store = await openStore(server)
    const versions = operation === 'create' ? [] : await createAll(store)
    await server.command('DEL', 'session:k7')
    await server.command('RPUSH', 'session:k7', 'of another program')
    const settled = await Promise.allSettled(keys.map((key, i) => operation === 'load' ? store.load(key)
      : operation === 'create' ? store.create(key, bytes, inAnHour())
        : operation === 'touch' ? store.touch(key, inAnHour()) : store.replace(key, versions[i]!, bytes, inAnHour())))
    expect(settled.flatMap(({ status }, i) => status === 'rejected' ? [i] : [])).toEqual([7])
    expect((settled[7] as PromiseRejectedResult).reason).toBeInstanceOf(StoreUnavailableError)
    expect(String((settled[7] as PromiseRejectedResult).reason)).toMatch(/WRONGTYPE/)
    const outcomes = settled.flatMap((each) => each.status === 'fulfilled' && each.value && 'outcome' in each.value ? [each.value.outcome] : [])
    expect(new Set(outcomes)).toEqual(new Set(operation === 'create' || operation === 'replace' ? ['stored'] : []))
  })

  test('a server that forgot the scripts, a connection that is cut: every write is stored once', async () => {
    await using server = await startRedis()
    const store = await openStore(server)
    let versions = await createAll(store)
    await server.command('SCRIPT', 'FLUSH')
    for (const cut of [false, true]) {
      const writing = Promise.all(keys.map((key, i) => store.replace(key, versions[i]!, bytes, inAnHour())))
      if (cut) await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      const written = await writing
      expect(new Set(written.map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
      versions = written.map((each) => each.outcome === 'stored' ? each.version : expect.fail(each.outcome))
    }
    expect((await Promise.all(keys.map((key) => store.load(key)))).map((record) => record?.version)).toEqual(versions)
  })

  test('a user who may not MGET reads key by key', async () => {
    await using server = await startRedis()
    const versions = await createAll(await openStore(server))
    await server.command('ACL', 'SETUSER', 'gate', 'on', '>pw', '~session:*', '+@connection', '+get', '+set', '+info')
    const limited = createRedisStore({ url: server.url, username: 'gate', password: 'pw', timeoutMs: 2_000 })
    onTestFinished(() => limited.close())
    await waitFor(() => limited.ping().then(() => true, () => false), 'a store that serves')
    expect((await Promise.all(keys.map((key) => limited.load(key)))).map((record) => record?.version)).toEqual(versions)
  })
})
