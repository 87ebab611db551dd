import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stringify } from 'yaml'
import { afterAll, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createSignedIdCodec } from '../../src/adapters/flask/signed-id.ts'
import { openFileSource } from '../../src/migrate/file-source.ts'
import { migrateFlaskSessions, type MigrationSummary } from '../../src/migrate/migrate-flask-session.ts'
import { openRedisSource } from '../../src/migrate/redis-source.ts'
import type { MigrationSource } from '../../src/migrate/source.ts'
import { createPlainCodec } from '../../src/session/codec.ts'
import type { EpochMs, JsonObject } from '../../src/session/session.ts'
import { createFileStore } from '../../src/stores/file.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { runCliBatch } from '../support/cli.ts'
import { minimalWith } from '../support/config-samples.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startRedis } from '../support/servers.ts'
import { startWorld, type World } from '../support/world.ts'

interface RecordVector {
  id: string, kind: string, secret: string, cookie: string, valid: boolean, reason: string, payload: JsonObject | null
  use_signer: boolean, sid: string, key_prefix: string, redis_key: string, redis_value_b64: string, redis_ttl: number
}
const all = JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as RecordVector[]
const vectors = all.filter(({ kind }) => kind === 'flask-session-redis')
const directory = mkdtempSync(join(tmpdir(), 'migrate-'))
afterAll(() => rmSync(directory, { recursive: true }))

const LIMITS = { maxBytes: 16_384, maxDepth: 16, maxMembers: 1_000 }
const POLICY = { idleMs: 1_800_000, absoluteMs: 86_400_000, permanent: false, refreshEachRequest: true, touchIntervalMs: 60_000 }

async function migrateInto(store: SessionStore, source: MigrationSource, more: { isDryRun?: boolean; clock?: () => EpochMs } = {}): Promise<MigrationSummary & { reasons: string[] }> {
  const reasons: string[] = []
  try {
    const summary = await migrateFlaskSessions(source, {
      store, codec: createPlainCodec(), policy: POLICY, handleSecret: 'handle', limits: LIMITS, clock: systemClock, isDryRun: false,
      onRecord: (_outcome, _name, reason) => { if (reason !== undefined) reasons.push(reason) }, ...more,
    })
    return { ...summary, reasons }
  } finally {
    await source.close()
  }
}

/** A gateway that finds what was migrated; the app answers with nothing, or with the patch in the query. */
async function gateOf(store: SessionStore, migrated: object, more: Record<string, unknown> = {}): Promise<World> {
  const world = await startWorld({ store, routes: [{ migrated: { from: 'flask-session', ...migrated } }], ...more })
  world.upstream.respond(({ target }) => {
    const patch = decodeURIComponent(target.split('?')[1] ?? '')
    return rawResponse({ headers: patch ? [['X-Session-Patch', patch]] : [], body: 'app' })
  })
  return world
}

const presenting = (world: World, cookie: string) => world.newClient().get('/', { headers: { cookie: `session=${cookie}; theme=dark` } })

test('every session of the vectors in Redis is found by the cookie its visitor still has, once, under a new id', async () => {
  await using server = await startRedis()
  const redis = new Redis(server.url)
  for (const { redis_key, redis_value_b64, redis_ttl } of vectors) await redis.set(redis_key, Buffer.from(redis_value_b64, 'base64'), 'EX', redis_ttl)
  await redis.lpush('session:a-list', 'x')
  await redis.set('session:garbage', 'not a session')
  await redis.set('other:key', 'x')
  const before = await redis.dbsize()

  for (const prefix of new Set(vectors.map(({ key_prefix }) => key_prefix))) {
    const mine = vectors.filter(({ key_prefix }) => key_prefix === prefix)
    const store = createMemoryStore()
    const dry = await migrateInto(store, await openRedisSource(server.url, prefix, systemClock), { isDryRun: true })
    expect((await store.scan!(undefined, 100)).records).toEqual([])
    const summary = await migrateInto(store, await openRedisSource(server.url, prefix, systemClock))
    expect(dry).toEqual(summary)
    expect(summary).toMatchObject({ migrated: mine.length, there: 0, unreadable: prefix === 'session:' ? 1 : 0 })

    for (const vector of mine) {
      await using world = await gateOf({ ...store, close: () => Promise.resolve() }, vector.use_signer ? { secretKey: vector.secret } : {})
      const reply = await presenting(world, vector.cookie)
      const isFound = vector.valid && !/attacker/.test(vector.sid)           // an id nobody of Flask-Session has made
      expect([vector.id, reply.status, world.lastClaims()['new']]).toEqual([vector.id, 200, !isFound])
      expect(world.upstream.lastRequest.all('cookie')).toEqual(['theme=dark'])
      if (!isFound) continue
      expect(world.lastClaims()['permanent']).toBe(vector.payload?.['_permanent'] === true || (vector.payload === null && world.lastClaims()['permanent'] === true))
      const { _permanent, ...data } = vector.payload ?? {}
      if (vector.payload) expect(world.lastClaims()['data']).toEqual(data)
      expect(reply.all('set-cookie').filter((line) => line.startsWith('sid=c1.'))).toHaveLength(1)
      expect(reply.all('set-cookie').filter((line) => /^session=;.*(Max-Age=0|1970)/.test(line))).toHaveLength(1)
      expect(reply.header('set-cookie')).not.toContain(vector.sid)
    }
  }
  expect(await redis.dbsize()).toBe(before)                                  // nothing of the source is touched
  redis.disconnect()
}, 20_000)

const ANN = vectors.find(({ id }) => id === 'fs032-pickle-default') as RecordVector

/** A source of one session. */
function sourceOf(expiresInMs: number | undefined, name = ANN.sid, bytes: Uint8Array = Buffer.from(ANN.redis_value_b64, 'base64')): MigrationSource {
  return {
    by: 'sid', total: 1, close: () => Promise.resolve(),
    async* records() { yield { name, bytes, expiresAt: expiresInMs === undefined ? undefined : systemClock() + expiresInMs as EpochMs } },
  }
}

test('parallel first requests share one session; after it has ended, neither the old cookie nor a second migration brings it back', async () => {
  const store = createMemoryStore()
  await using world = await gateOf(store, {})
  expect(await migrateInto(store, sourceOf(86_400_000))).toMatchObject({ migrated: 1 })
  const replies = await Promise.all(Array.from({ length: 6 }, () => presenting(world, ANN.cookie)))
  const ids = replies.map((reply) => reply.all('set-cookie').find((line) => line.startsWith('sid='))?.split(';')[0])
  expect(new Set(ids).size).toBe(1)
  expect((await store.scan!(undefined, 100)).records).toHaveLength(2)          // the session, and the pointer to it

  const client = world.newClient()
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Control', 'destroy']], body: 'bye' }))
  await client.get('/logout', { headers: { cookie: ids[0] as string } })
  expect(await migrateInto(store, sourceOf(86_400_000))).toMatchObject({ migrated: 0, there: 1 })
  await presenting(world, ANN.cookie)
  expect(world.lastClaims()['new']).toBe(true)
})

test('it waits as long as it would have lived where it was, whatever our idle lifetime; then it is gone', async () => {
  let now = systemClock()
  const clock = (): EpochMs => now
  const store = createMemoryStore({ clock })
  await using world = await gateOf({ ...store, close: () => Promise.resolve() }, {}, { clock })
  await migrateInto(store, sourceOf(10 * 86_400_000), { clock })
  await migrateInto(store, sourceOf(86_400_000, 'b'.repeat(43)), { clock })
  now = now + 9 * 86_400_000 as EpochMs
  await presenting(world, 'b'.repeat(43))
  expect(world.lastClaims()['new']).toBe(true)
  await presenting(world, ANN.cookie)
  expect(world.lastClaims()).toMatchObject({ new: false, data: { user: 'alice' } })
})

test.each(['base64', 'hex'] as const)('a key of bytes is written in %s', async (secretKeyEncoding) => {
  const secret = Buffer.from([0xff, 0x00, 0x5d, 0x2f, 0x80, 0xfe])
  const cookie = createSignedIdCodec({ secrets: [secret] }).sign(ANN.sid)
  const store = createMemoryStore()
  await using world = await gateOf(store, { secretKey: secret.toString(secretKeyEncoding), secretKeyEncoding })
  await migrateInto(store, sourceOf(86_400_000))
  await presenting(world, ANN.sid)
  expect(world.lastClaims()['new']).toBe(true)                                // not signed
  await presenting(world, cookie)
  expect(world.lastClaims()).toMatchObject({ new: false, data: { user: 'alice' } })
})

test('log out everywhere ends those that wait, too', async () => {
  const store = createMemoryStore()
  await using world = await gateOf(store, {}, { session: { subject: 'user', revocation: true } })
  await migrateInto(store, sourceOf(86_400_000))
  await migrateInto(store, sourceOf(86_400_000, 'c'.repeat(43)))
  await presenting(world, 'c'.repeat(43))
  expect(world.lastClaims()).toMatchObject({ sub: 'alice' })
  await world.gateway.inventory.revokeOf('alice')
  await presenting(world, ANN.cookie)
  expect(world.lastClaims()['new']).toBe(true)
})

test.each(['md5', 'sha256'] as const)('the files of cachelib, named by %s', async (by) => {
  const files = mkdtempSync(join(directory, 'files-'))
  const write = (sid: string, expiry: number, bytes: Uint8Array): void => {
    const head = Buffer.alloc(4)
    head.writeUInt32LE(expiry)
    writeFileSync(join(files, createHash(by).update(`session:${sid}`).digest('hex')), Buffer.concat([head, bytes]))
  }
  const inAnHour = Math.floor(systemClock() / 1_000) + 3_600
  const pickles = vectors.filter(({ id, valid, use_signer }) => id.startsWith('fs032-') && valid && !use_signer)
  for (const { sid, redis_value_b64 } of pickles) write(sid, inAnHour, Buffer.from(redis_value_b64, 'base64'))
  write('expired', inAnHour - 7_200, Buffer.from(ANN.redis_value_b64, 'base64'))
  write('__wz_cache_count', 0, Buffer.from([0x80, 5, 0x4b, 7, 0x2e]))           // cachelib's own counter
  write('cut', inAnHour, Buffer.from(ANN.redis_value_b64, 'base64').subarray(0, 20))
  writeFileSync(join(files, 'README'), 'not a session')
  const evil = Buffer.from('\x80\x04cos\nsystem\n(S"touch /tmp/never"\ntR.', 'latin1')
  write('evil', inAnHour, evil)

  const store = createMemoryStore()
  const summary = await migrateInto(store, await openFileSource(files))
  expect(summary).toMatchObject({ migrated: pickles.length, expired: 1, unreadable: 3 })
  await using world = await gateOf(store, { by })
  await presenting(world, ANN.cookie)
  expect(world.lastClaims()).toMatchObject({ new: false, permanent: true, data: { user: 'alice' } })
})

test('sessiongate migrate: dry run, migration, again; and what it says when it cannot', async () => {
  await using server = await startRedis()
  const redis = new Redis(server.url)
  for (const { redis_key, redis_value_b64 } of vectors) await redis.set(redis_key, Buffer.from(redis_value_b64, 'base64'))
  redis.disconnect()
  const path = join(directory, 'sessions')
  writeFileSync(join(directory, 'gate.yaml'), stringify(minimalWith({ store: { kind: 'file', path } })), { mode: 0o600 })
  const command = ['migrate', '-c', 'gate.yaml', '--from', 'flask-session', '--source']
  const ours = vectors.filter(({ key_prefix }) => key_prefix === 'session:').length
  const [dry, real, again, nowhere, nothing, unknown] = await runCliBatch([
    [...command, server.url, '--dry-run'], [...command, server.url], [...command, server.url],
    [...command, 'redis://127.0.0.1:1'], [...command, join(directory, 'missing')], [...command, 'memcached://127.0.0.1'],
  ], { cwd: directory })
  expect(dry).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(new RegExp(`${ours} +would be migrated \\(dry run`)) })
  expect(real?.stdout).toMatch(new RegExp(`^ +${ours} +migrated\\n`))
  expect(real?.stdout).toContain('migrated: { from: flask-session }')
  expect(again?.stdout).toMatch(new RegExp(`^ +0 +migrated\\n +${ours} +there already`))
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/Redis to migrate from cannot be read/) })
  expect(nothing).toMatchObject({ code: 1, stderr: expect.stringMatching(/directory to migrate from cannot be read/) })
  expect(unknown).toMatchObject({ code: 64 })

  const store = createFileStore({ path })
  await using world = await gateOf(store, {})
  await presenting(world, ANN.cookie)
  expect(world.lastClaims()).toMatchObject({ new: false, data: { user: 'alice' } })
}, 30_000)
