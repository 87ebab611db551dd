import { generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { GatedStore } from '../support/gated-store.ts'
import { dataOf, obey, order } from '../support/obedient-app.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const secret = (name: string): string => `${name}-3f2a1b0c9d8e7f60514233241506f7e8d9cabb`
const COOKIE = { c1: { id: 'c1', secret: secret('cookie-one') }, c2: { id: 'c2', secret: secret('cookie-two') }, c3: { id: 'c3', secret: secret('cookie-three') } }
const pem = (type: 'ed25519' | 'ec'): string => (type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const ASSERTION = { a1: { id: 'a1', alg: 'EdDSA', privateKey: pem('ed25519') }, a2: { id: 'a2', alg: 'ES256', privateKey: pem('ec') }, h1: { id: 'h1', alg: 'HS256', secret: secret('assertion-one') } }
const RECORD = { r1: { id: 'r1', secret: secret('record-one') }, r2: { id: 'r2', secret: secret('record-two') } }

const keys = (cookie: object[], assertion: object[] = [ASSERTION.h1], record: object[] = []): { keys: object } => ({ keys: { cookie, assertion, record } })

async function keyedWorld(config: object, options: WorldOptions = {}): Promise<World & { readonly gates: GatedStore }> {
  const gates = new GatedStore(createMemoryStore())
  const world = await startWorld({ ...options, store: gates, config: config as Record<string, unknown> })
  world.upstream.respond(obey)
  return Object.assign(world, { gates })
}

const kidOf = (value: string | undefined): string | undefined => /^c\d/.exec(value ?? '')?.[0]
const claims = (world: World): Record<string, unknown> => JSON.parse(Buffer.from((world.upstream.lastRequest.header('x-session-assertion') as string).split('.')[1] as string, 'base64url').toString()) as Record<string, unknown>

describe('CK12 the cookie\'s keys', () => {
  test('rotate without one failed request: known before it signs, re-issued when it does, refused when the old one is dropped', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1]))
    await order(world.client, { patch: { user: 'ann' } })
    const old = world.client.jar.get('sid')?.value as string
    await order(world.client, {})
    const { sid } = claims(world)
    const steps: [ring: object[], kid: string][] = [[[COOKIE.c1, COOKIE.c2], 'c1'], [[COOKIE.c2, COOKIE.c1], 'c2'], [[COOKIE.c2], 'c2'], [[COOKIE.c3, COOKIE.c2], 'c3']]
    for (const [ring, kid] of steps) {
      await world.reconfigure(keys(ring))
      for (let i = 0; i < 3; i++) {
        const reply = await order(world.client, {})
        expect(reply.status).toBe(200)
        expect(claims(world)).toMatchObject({ new: false, sid, data: { user: 'ann' } })
        if (i > 0) expect(reply.all('set-cookie')).toEqual([])
      }
      expect(kidOf(world.client.jar.get('sid')?.value)).toBe(kid)
    }
    using late = world.newClient()
    late.jar.set('sid', old)
    await order(late, {})
    expect(claims(world)).toMatchObject({ new: true, data: {} })
    expect(late.jar.get('sid')?.value).toBe(old)
  })

  test.each([['session: read', { session: 'read' }], ['touch: never', { touch: 'never' }]])('a cookie is re-issued on %s too, with the attributes it had', async (_what, route) => {
    await using world = await keyedWorld(keys([COOKIE.c1]), { routes: [{}, { path: '/r', ...route }], session: { permanent: true } })
    await order(world.client, { patch: { user: 'ann' } })
    await world.reconfigure(keys([COOKIE.c2, COOKIE.c1]))
    const reply = await order(world.client, {}, { path: '/r' })
    expect(reply.header('set-cookie')).toMatch(/^sid=c2\.[\w-]{43}\.[\w+/]{43}; Expires=.* GMT; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/)
    expect([reply.header('cache-control'), reply.header('vary')]).toEqual(['no-store', 'Cookie'])
    expect(world.gates.count('replace', 'touch')).toBe(0)
  })

  test('with a write, a rotation and a logout in the overlap', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1]))
    for (const send of [{ patch: { n: 1 } }, { control: 'rotate' }]) {
      await world.reconfigure(keys([COOKIE.c1]))
      await order(world.client, { patch: { user: 'ann' } })
      await world.reconfigure(keys([COOKIE.c2, COOKIE.c1]))
      expect(kidOf(/^sid=([^;]*)/.exec((await order(world.client, send)).header('set-cookie') ?? '')?.[1])).toBe('c2')
      expect((await order(world.client, { control: 'destroy' })).header('set-cookie')).toContain('Max-Age=0')
    }
    expect(await world.gates.liveRecords()).toBe(1)                          // the pointer of the rotation, until it expires
  })

  test('a key under a known id with another secret opens nothing', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1]))
    await order(world.client, { patch: { user: 'ann' } })
    await world.reconfigure(keys([{ ...COOKIE.c2, id: 'c1' }]))
    await order(world.client, {})
    expect(claims(world)).toMatchObject({ new: true })
  })
})

describe('SG8 the assertion\'s keys', () => {
  test('rotate under load: each value verifies with the key set published at that moment, the next key in it', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1], [ASSERTION.a1]))
    await order(world.client, { patch: { user: 'ann' } })
    const upstreams: ReturnType<typeof createLocalJWKSet>[] = []
    const verified = async (token: string, set: ReturnType<typeof createLocalJWKSet>): Promise<string> =>
      (await jwtVerify(token, set, { audience: 'app', issuer: 'sessiongate', typ: 'session+jwt' })).protectedHeader.kid as string

    const rings = [[ASSERTION.a1], [ASSERTION.a1, ASSERTION.a2], [ASSERTION.a2, ASSERTION.a1], [ASSERTION.a2]]
    const kids: string[] = []
    for (const ring of rings) {
      await world.reconfigure(keys([COOKIE.c1], ring))
      upstreams.push(createLocalJWKSet(world.gateway.jwks as never))
      for (let i = 0; i < 20; i++) {
        expect((await order(world.client, {})).status).toBe(200)
        const token = world.upstream.lastRequest.header('x-session-assertion') as string
        kids.push(await verified(token, upstreams.at(-1) as never))
        // An upstream that fetched the set one step ago still verifies it: the next key is published before it signs.
        if (upstreams.length > 1) expect(await verified(token, upstreams.at(-2) as never)).toBe(kids.at(-1))
      }
    }
    expect([...new Set(kids)]).toEqual(['a1', 'a2'])
    const last = world.upstream.lastRequest.header('x-session-assertion') as string
    await expect(verified(last, upstreams[0] as never)).rejects.toThrow()
  })

  test('a change of key is never hidden by a value signed before', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1], [ASSERTION.h1]))
    const kid = async (): Promise<unknown> => (await order(world.client, {}), decodeProtectedHeader(world.upstream.lastRequest.header('x-session-assertion') as string).kid)
    expect(await kid()).toBe('h1')
    await world.reconfigure(keys([COOKIE.c1], [ASSERTION.a2, ASSERTION.h1]))
    expect(await kid()).toBe('a2')
  })

  test('shared secrets are in no published set', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1], [ASSERTION.a1, ASSERTION.h1]))
    expect(JSON.stringify(world.gateway.jwks)).not.toMatch(/assertion-one|"d":|"k":|"h1"/)
  })
})

describe('the keys of stored records', () => {
  test('encryption is switched on, rotated, and the old key dropped after the records were written again, without a lost session', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1]))
    await order(world.client, { patch: { user: 'ann' } })
    for (const ring of [[RECORD.r1], [RECORD.r2, RECORD.r1], [RECORD.r2]]) {
      await world.reconfigure(keys([COOKIE.c1], [ASSERTION.h1], ring))
      expect((await order(world.client, { patch: { step: ring.length } })).status).toBe(200)
      await order(world.client, {})
      expect(claims(world)).toMatchObject({ data: { user: 'ann' } })
      const stored = await world.gates.inner.load(world.gates.createdKeys[0] as string)
      expect(Buffer.from(stored?.bytes ?? []).includes('ann')).toBe(false)
    }
  })

  test('a dropped key with records still under it is an outage of those sessions, not a logout', async () => {
    await using world = await keyedWorld(keys([COOKIE.c1], [ASSERTION.h1], [RECORD.r1]))
    await order(world.client, { patch: { user: 'ann' } })
    await world.reconfigure(keys([COOKIE.c1], [ASSERTION.h1], [RECORD.r2]))
    const reply = await order(world.client, {})
    expect([reply.status, reply.json<{ code: string }>().code, reply.all('set-cookie')]).toEqual([503, 'ERR_SESSION_CORRUPT', []])
    await world.reconfigure(keys([COOKIE.c1], [ASSERTION.h1], [RECORD.r2, RECORD.r1]))
    await order(world.client, {})
    expect(claims(world)).toMatchObject({ data: { user: 'ann' } })
  })
})

test('no id, key or secret is in any log line', async () => {
  await using world = await keyedWorld(keys([COOKIE.c1]))
  await order(world.client, { patch: { user: 'canary-value' }, control: 'permanent' })
  const value = world.client.jar.get('sid')?.value as string
  await order(world.client, { control: 'rotate' })
  await order(world.client, { control: 'explode' })
  const text = JSON.stringify(world.log)
  for (const hidden of [value, value.split('.')[1] as string, (world.client.jar.get('sid')?.value as string).split('.')[1] as string, COOKIE.c1.secret, ASSERTION.h1.secret, 'canary-value', ...world.gates.createdKeys]) {
    expect(text).not.toContain(hidden)
  }
  expect(await dataOf(world).catch(() => 'other key')).toBe('other key')
})
