import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, ASSERTION_SECRET, COOKIE_SECRET, type World } from '../support/world.ts'

const R1 = { id: 'r1', secret: 'record-1-a9b8c7d6e5f4031221304f5e6d7c8b9a' }
const R2 = { id: 'r2', secret: 'record-2-0f1e2d3c4b5a69788796a5b4c3d2e1f0' }
const keys = (...record: object[]) => ({ keys: { cookie: [{ id: 'c1', secret: COOKIE_SECRET }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }], record } })
const NEEDLE = 'iban-DE02120300000000202051'

/** A gateway on `store` where every answer writes the patch that stands in the query. */
async function gate(store: SessionStore, config: object): Promise<World> {
  const world = await startWorld({ store, config: config as Record<string, unknown>, session: { subject: 'user', revocation: true } })
  world.upstream.respond(({ target }) => {
    const patch = decodeURIComponent(target.split('?')[1] ?? '')
    return rawResponse({ headers: patch ? [['X-Session-Patch', patch]] : [], body: 'app' })
  })
  return world
}

const write = (patch: object): string => `/?${encodeURIComponent(JSON.stringify(patch))}`

async function recordsOf(store: SessionStore) {
  const { records } = await store.scan!(undefined, 1_000)
  return records.map(([key, record]) => ({ key, ...record, text: Buffer.from(record.bytes).toString('latin1') }))
}

const sessionRecord = async (store: SessionStore) => (await recordsOf(store)).filter(({ key }) => !key.startsWith('subject.'))

test('nothing of a session or its subject can be read in the store, and without keys it can', async () => {
  for (const [config, isReadable] of [[keys(), true], [keys(R1), false]] as const) {
    const store = createMemoryStore()
    await using world = await gate(store, config)
    await world.client.get(write({ user: NEEDLE, note: 'private' }))
    const records = await recordsOf(store)
    expect(records).toHaveLength(2)
    const dump = JSON.stringify(records)
    expect([dump.includes(NEEDLE), dump.includes('note'), dump.includes('"s\\":[')]).toEqual([isReadable, isReadable, isReadable])
    const [, id = '?'] = /sid=c1\.([\w-]{43})/.exec(world.client.jar.headerFor('/') ?? '') ?? []
    expect(dump).not.toContain(id)
    await world.client.get('/')
    expect(world.lastClaims()).toMatchObject({ data: { user: NEEDLE } })
  }
})

test('a record moved under another visitor\'s key, cut, or changed in one bit is refused, and kept', async () => {
  const store = createMemoryStore()
  await using world = await gate(store, keys(R1))
  const [victim, thief] = [world.newClient(), world.newClient()]
  await victim.get(write({ role: 'admin' }))
  const [victims] = await sessionRecord(store)
  await thief.get(write({ role: 'guest' }))
  const thiefs = (await sessionRecord(store)).find(({ key }) => key !== victims?.key)
  if (!victims || !thiefs) throw new Error('two records are needed')
  const original = Buffer.from(thiefs.bytes)
  const flipped = Buffer.from(original)
  flipped[flipped.length - 20]! ^= 1
  const renamed = Buffer.from(original)
  renamed[3] = 'x'.charCodeAt(0)
  for (const bytes of [victims.bytes, flipped, original.subarray(0, 20), original.subarray(0, 2), renamed, Buffer.from([3, ...original.subarray(1)])]) {
    await put(store, thiefs.key, bytes)
    const reply = await thief.get('/')
    expect(reply.status).toBe(503)
    expect(reply.json()).toMatchObject({ code: 'ERR_SESSION_CORRUPT' })
    expect(reply.all('set-cookie')).toEqual([])
    expect(Buffer.from((await store.load(thiefs.key))?.bytes ?? [])).toEqual(Buffer.from(bytes))
  }
  await put(store, thiefs.key, original)
  expect((await thief.get('/')).status).toBe(200)
  expect(world.lastClaims()).toMatchObject({ data: { role: 'guest' } })
})

/** Writes as whoever has the store does. */
async function put(store: SessionStore, key: string, bytes: Uint8Array): Promise<void> {
  const held = await store.load(key)
  await store.replace(key, held!.version, bytes, (systemClock() + 60_000) as EpochMs)
}

test('switched on over plain records, rotated, and the old key retired: nobody is logged out on the way', async () => {
  const store = createMemoryStore()
  await using world = await gate(store, keys())
  const session = { cookie: { name: 'sid', secure: false }, subject: 'user', revocation: true }
  const step = (...record: object[]) => world.reconfigure({ ...keys(...record), session })
  const seen = async (): Promise<unknown> => {
    expect((await world.client.get('/')).status).toBe(200)
    return world.lastClaims()['data']
  }
  const kindOf = async (): Promise<string> => (await sessionRecord(store))[0]?.text.slice(0, 4) ?? ''
  await world.client.get(write({ user: 'ann', n: 1 }))
  expect(await kindOf()).toBe('\x01{"h')

  await step(R1)
  expect(await seen()).toEqual({ user: 'ann', n: 1 })                      // still plain: read as it is
  await world.client.get(write({ n: 2 }))
  expect(await kindOf()).toBe('\x02\x02r1')

  await step(R2, R1)
  expect(await seen()).toEqual({ user: 'ann', n: 2 })
  await world.client.get(write({ n: 3 }))
  expect(await kindOf()).toBe('\x02\x02r2')

  // The subject's own record is still the plain one of the first login.
  await step(R2)
  expect(await seen()).toEqual({ user: 'ann', n: 3 })

  await step(R1)
  expect((await world.client.get('/')).json()).toMatchObject({ code: 'ERR_SESSION_CORRUPT' })
})
