import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { MongodbStoreOptions } from '../../src/stores/mongodb.ts'
import { createMongodbStore } from '../../src/stores/mongodb.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import type { MongodbServer } from '../support/servers.ts'
import { startMongodb } from '../support/servers.ts'
import { prepare } from '../support/servers/mongodb.ts'
import { inAnHour, testNetworkFaults, versionOf } from '../support/store-faults.ts'
import { waitFor } from '../support/wait-for.ts'

describe('mongodb', () => {
  testNetworkFaults({
    start: startMongodb,
    open: (_server, address, timeoutMs) => createMongodbStore({ url: `mongodb://${address}`, timeoutMs }),
    isDurable: false,
    isOneStep: true,
    losesCalls: true,                                                // what is written just as a connection ends: src/stores/mongodb.ts
    timeoutMs: 600,                                                  // a JVM that has just begun is slow
  })
})

describe('a MongoDB', () => {
  let server: MongodbServer
  beforeAll(async () => { server = await startMongodb() })
  afterAll(() => server[Symbol.asyncDispose]())

  const opened: SessionStore[] = []
  afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
  function open(options: Partial<MongodbStoreOptions> = {}): SessionStore {
    const store = guardStore(createMongodbStore({ url: server.url, timeoutMs: 2_000, ...options }), { timeoutMs: 2_000 })
    opened.push(store)
    return store
  }

  test('whose collection vanishes is as empty as it is', async () => {
    await server.query((client) => prepare(client, 'vanishing'))
    const store = open({ database: 'vanishing' })
    const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
    await server.query((client) => client.db('vanishing').dropDatabase())
    expect(await store.replace('a', version, Buffer.from('x'), inAnHour())).toEqual({ outcome: 'missing' })
    versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
  })

  test('that deletes what has expired by itself is given the index for it, again when it is lost', async () => {
    open({ database: 'indexed', collection: 'mine', indexIntervalMs: 20 })
    const hasIndex = () => server.query(async (client) => (await client.db('indexed').collection('mine').indexes()).some(({ key }) => 'expiresAt' in key))
    await waitFor(hasIndex, 'index on expiresAt')
    await server.query((client) => client.db('indexed').dropDatabase())
    await waitFor(hasIndex, 'index on expiresAt, again')
  })

  test('with documents of somebody else says so by name', async () => {
    await server.query((client) => client.db('foreign').collection<{ _id: string; session: string }>('sessions').insertOne({ _id: 'a', session: '{}' }))
    await server.query((client) => prepare(client, 'foreign'))
    const store = open({ database: 'foreign' })
    await expect(store.load('a')).rejects.toThrow(/values of other types/)
    const version = versionOf(await store.create('ours', Buffer.from('x'), inAnHour()))
    const [foreign, ours, none] = await Promise.allSettled([store.load('a'), store.load('ours'), store.load('none')])    // in one turn, so in one query
    expect(foreign.status).toBe('rejected')
    expect(ours).toMatchObject({ status: 'fulfilled', value: { version } })
    expect(none).toEqual({ status: 'fulfilled', value: undefined })
  })

  test('a tombstone and an expired document are kept for a minute after their time, and are not served', async () => {
    let now = systemClock()
    const store = open({ clock: () => now })
    await store.create('a', Buffer.from('x'), (now + 1_000) as EpochMs)
    now = (now + 1_000) as EpochMs
    expect(await store.load('a')).toBeUndefined()
    expect(await server.query((client) => client.db('sessiongate').collection<{ _id: string }>('sessions').countDocuments({ _id: 'a' }))).toBe(1)
  })
})
