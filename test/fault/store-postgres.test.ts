import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { PostgresStoreOptions } from '../../src/stores/postgres.ts'
import { createPostgresStore } from '../../src/stores/postgres.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import type { PostgresServer } from '../support/servers.ts'
import { startPostgres } from '../support/servers.ts'
import { inAnHour, testNetworkFaults, versionOf } from '../support/store-faults.ts'
import { waitFor } from '../support/wait-for.ts'

describe('postgres', () => {
  testNetworkFaults({
    start: () => startPostgres(),
    open: ({ url }, address, timeoutMs) => createPostgresStore({ url: url.replace(/127\.0\.0\.1:\d+/, address), timeoutMs }),
    isDurable: true,
    isOneStep: true,
  })
})

describe('a PostgreSQL that answers no', () => {
  let server: PostgresServer
  beforeAll(async () => { server = await startPostgres() })
  afterAll(() => server[Symbol.asyncDispose]())

  const opened: SessionStore[] = []
  afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
  function open(options: Partial<PostgresStoreOptions> = {}): SessionStore {
    const store = guardStore(createPostgresStore({ url: server.url, timeoutMs: 2_000, ...options }), { timeoutMs: 2_000 })
    opened.push(store)
    return store
  }

  test('whose table vanishes under it gets a new one, and is as empty as it is', async () => {
    const store = open({ table: 'vanishing' })
    const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
    await server.query('DROP TABLE vanishing')
    expect(await store.load('a')).toBeUndefined()
    await server.query('DROP TABLE vanishing')
    expect(await store.replace('a', version, Buffer.from('x'), inAnHour())).toEqual({ outcome: 'missing' })
  })

  test('whose table is made by eight gateways at once serves them all', async () => {
    const stores = Array.from({ length: 8 }, () => open({ table: 'contended' }))
    const written = await Promise.all(stores.map((store, index) => store.create(`key ${index}`, Buffer.from('x'), inAnHour())))
    expect(written.map(({ outcome }) => outcome)).toEqual(Array(8).fill('stored'))
  })

  test.each<[string, Partial<PostgresStoreOptions>, RegExp]>([
    ['without the table, when it may not make it', { table: 'none', migrate: false }, /create the table, or set store.migrate/],
    ['without one of the columns', { table: 'narrow' }, /"data" does not exist \(a column is missing/],
    ['with columns of other types', { table: 'other_types' }, /values of other types/],
    ['without the schema', { schema: 'nowhere' }, /schema "nowhere" does not exist/],
    ['that is a table of somebody else', { url: 'guest:guest', table: 'private' }, /lacks a privilege/],
  ])('%s says so by name, and the circuit stays closed', async (_name, options, message) => {
    await server.query('CREATE TABLE IF NOT EXISTS narrow (session_key text PRIMARY KEY, version text, expires_at bigint)')
    await server.query('CREATE TABLE IF NOT EXISTS other_types (session_key text PRIMARY KEY, version text, data bytea, expires_at text)')
    await server.query(`INSERT INTO other_types VALUES ('a', 'v', 'x', 'tomorrow') ON CONFLICT DO NOTHING`)
    await server.query('CREATE TABLE IF NOT EXISTS private (session_key text PRIMARY KEY, version text, data bytea, expires_at bigint)')
    await server.query(`DO $$ BEGIN CREATE ROLE guest LOGIN PASSWORD 'guest'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    const store = open({ ...options, url: server.url.replace('gate:a%2Fb', options.url ?? 'gate:a%2Fb') })
    for (let round = 0; round < 6; round++) await expect(store.load('a')).rejects.toThrow(message)
  })

  test.each([
    ['refuses the user', (url: string) => url.replace('gate:', 'stranger:'), /user name or password/],
    ['has no such database', (url: string) => url.replace(/postgres$/, 'nowhere'), /no such database/],
  ])('that %s is named', async (_name, urlOf, message) => {
    await expect(open({ url: urlOf(server.url), timeoutMs: 500 }).load('a')).rejects.toThrow(message)
  })

  test('that became a replica refuses writes with a remedy, serves reads, and takes writes again when it is promoted', async () => {
    const store = open({ table: 'replicated' })
    const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
    await server.query(`CREATE ROLE reader SUPERUSER LOGIN PASSWORD 'reader'; ALTER ROLE reader SET default_transaction_read_only = on`)
    const reader = open({ table: 'replicated', url: server.url.replace('gate:a%2Fb', 'reader:reader') })
    await expect(reader.replace('a', version, Buffer.from('y'), inAnHour())).rejects.toThrow(/connect to the primary/)
    await expect(reader.ping()).rejects.toThrow(/connect to the primary/)
    expect((await reader.load('a'))?.version).toBe(version)
    await server.query('ALTER ROLE reader SET default_transaction_read_only = off')
    await reader.replace('a', version, Buffer.from('y'), inAnHour()).catch(() => {})   // it leaves the connection for a new one
    versionOf(await reader.replace('a', version, Buffer.from('y'), inAnHour()))
  })

  test('that lacks a free connection is waited for, and no more than the configured ones are taken', async () => {
    const store = open({ table: 'few', connections: 3 })
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.create(`key ${index}`, Buffer.from('x'), inAnHour())))
    const [[count]] = await server.query(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sessiongate' AND query LIKE '%"few"%'`) as [[string]]
    expect(Number(count)).toBeLessThanOrEqual(3)
  })

  test('a row locked by somebody else costs its own request alone', async () => {
    const store = open({ table: 'locked', timeoutMs: 300 })
    const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
    const locking = server.query(`BEGIN; SELECT FROM locked FOR UPDATE; SELECT pg_sleep(1); COMMIT`)
    await waitFor(async () => (await server.query(`SELECT FROM pg_stat_activity WHERE query LIKE 'BEGIN%' AND wait_event = 'PgSleep'`)).length > 0)
    const replacing = store.replace('a', version, Buffer.from('y'), inAnHour())
    expect((await store.load('a'))?.version).toBe(version)
    await expect(replacing).rejects.toThrow(/no answer within|timeout/)
    await locking
    versionOf(await store.replace('a', version, Buffer.from('y'), inAnHour()))
  })

  test('the sweeper deletes what has been dead for a minute, in batches, and nothing else', async () => {
    let now = systemClock()
    const store = open({ table: 'swept', sweepIntervalMs: 20, clock: () => now })
    await store.create('alive', Buffer.from('x'), (now + 3_600_000) as EpochMs)
    await store.create('just dead', Buffer.from('x'), (now + 60_000) as EpochMs)
    await server.query(`INSERT INTO swept SELECT 'dead ' || n, 'v', 'x', ${now} FROM generate_series(1, 1200) n`)
    now = (now + 60_000) as EpochMs
    const keys = async () => (await server.query('SELECT session_key FROM swept ORDER BY 1')).flat()
    await waitFor(async () => (await keys()).length === 2, 'two rows')
    expect(await keys()).toEqual(['alive', 'just dead'])
  })
})
