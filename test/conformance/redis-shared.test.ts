import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createSharedRedisStore } from '../../src/stores/redis-shared.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import type { RedisServer } from '../support/servers.ts'
import { startRedis } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

/**
 * The suite's bytes are of any kind, and an app's begin as one of its formats does; the suite asks for instants to the millisecond, and a TTL
 * is counted down by Redis.
 */
function likeJson(store: SessionStore): SessionStore {
  const asked = new Set<EpochMs>()
  const written = (bytes: Uint8Array, expiresAt: EpochMs): Buffer => {
    asked.add(expiresAt)
    return Buffer.concat([Buffer.from('{'), bytes])
  }
  const meant = (instant: EpochMs): EpochMs => [...asked].find((one) => Math.abs(one - instant) < 5_000) ?? instant
  const read = (record: StoredRecord | undefined): StoredRecord | undefined => record && { ...record, bytes: record.bytes.subarray(1), expiresAt: meant(record.expiresAt) }
  return {
    ...store,
    load: async (key) => read(await store.load(key)),
    create: (key, bytes, expiresAt) => store.create(key, written(bytes, expiresAt), expiresAt),
    replace: (key, expected, bytes, expiresAt) => store.replace(key, expected, written(bytes, expiresAt), expiresAt),
    touch(key, expiresAt) {
      asked.add(expiresAt)
      return store.touch(key, expiresAt)
    },
    destroy: async (key, until) => read(await store.destroy(key, until)),
    async scan(cursor, limit) {
      const { records, next } = await store.scan!(cursor, limit)
      return { records: records.map(([key, record]) => [key, read(record)!] as const), next }
    },
  }
}

/** What records without room for anything of ours cannot keep. All else holds. */
const NOT_KEPT: readonly string[] = [
  // A version is a digest of the bytes.
  'every write makes a version never seen before, also when the bytes are the same',
  // Redis alone counts the time, not the gateway's clock, which these cases move; and tombstones stand longer than asked for.
  'a scan, where there is one, shows every live record and nothing that has ended, whatever the page',
  'a record lives to the last millisecond and not one longer',
  'an expired record cannot be replaced, touched or ended',
  'an expired record leaves room for a new one under its key, with a new version',
  'replace moves the expiry, later and earlier',
  'touch moves the expiry, later and earlier',
  'a touch that comes too late does not revive',
  'a tombstone stands to the last millisecond and not one longer',
  'a repeated destroy keeps the later of two tombstones',
  'a touch neither prolongs nor shortens a tombstone',
  'a record stored with an expiry that has passed is not there',
  'a random history of calls and passing time agrees with the contract',
]

describe('redis, its records shared with an app', () => {
  let server: RedisServer
  beforeAll(async () => { server = await startRedis() })
  afterAll(() => server[Symbol.asyncDispose]())

  const open = async (clock: Clock) => {
    const store = createSharedRedisStore({ url: server.url, keyPrefix: 'session:', lifetimeMs: 3_600_000, clock, timeoutMs: TIMEOUT_MS })
    await store.ping()
    return likeJson(store)
  }
  test('the user that docs/stores.md names may do all of it, also when the server has forgotten the scripts', async () => {
    await server.command('ACL', 'SETUSER', 'gate', 'on', '>pw', '~session:*', '~sessiongate:*', '+@connection', '+@read', '+@scripting', '+set', '+del', '+pexpire', '+info')
    const store = createSharedRedisStore({ url: server.url, username: 'gate', password: 'pw', keyPrefix: 'session:', lifetimeMs: 3_600_000, timeoutMs: TIMEOUT_MS })
    const until = systemClock() + 60_000 as EpochMs
    await store.ping()
    await server.command('SCRIPT', 'FLUSH')
    const created = await store.create('acl', Buffer.from('{}'), until)
    if (created.outcome !== 'stored') throw new Error(created.outcome)
    const replaced = await store.replace('acl', created.version, Buffer.from('{"a":1}'), until)
    expect(replaced.outcome).toBe('stored')
    await store.touch('acl', until)
    expect((await store.load('acl'))?.bytes.toString()).toBe('{"a":1}')
    expect((await store.scan!(undefined, 1_000)).records.map(([key]) => key)).toContain('acl')
    expect((await store.destroy('acl', until))?.bytes.toString()).toBe('{"a":1}')
    expect(await store.load('acl')).toBeUndefined()
    await store.close()
  })

  const cases = storeConformance({ open, scans: true })
  for (const { name, run } of cases.filter(({ name }) => !NOT_KEPT.includes(name))) test(name, run)
  for (const { name, run } of cases.filter(({ name }) => NOT_KEPT.includes(name))) test(`not kept: ${name}`, () => expect(run()).rejects.toThrow())
})
