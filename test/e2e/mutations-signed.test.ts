import { generateKeyPairSync } from 'node:crypto'
import { importPKCS8, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/session/session.ts'
import { counterOf } from '../support/metrics.ts'
import { dataOf, leaksIn, obey, order } from '../support/obedient-app.ts'
import { ASSERTION_SECRET, startWorld, type World } from '../support/world.ts'

const SECRET = 'upstream-key-5d4c3b2a19080f7e6d5c4b3a29180706'
const OTHER = 'another-key-0f1e2d3c4b5a69788796a5b4c3d2e1f0'
const ed25519 = generateKeyPairSync('ed25519')
const PRIVATE = ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const PUBLIC = ed25519.publicKey.export({ type: 'spki', format: 'pem' }) as string
const START: JsonObject = { user: 'ann' }

interface Signing { readonly alg?: string; readonly kid?: string; readonly key?: Parameters<SignJWT['sign']>[0]; readonly header?: object }

function signed(claims: JsonObject, { alg = 'HS256', kid = 'u1', key = Buffer.from(SECRET), header = {} }: Signing = {}): Promise<string> {
  return new SignJWT({ aud: 'sessiongate', exp: Math.floor(Date.now() / 1_000) + 30, ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(key)
}

let world: World
beforeAll(async () => {
  world = await startWorld({
    routes: [{ mutations: { signed: true } }, { path: '/cart', mutations: { signed: true, allow: ['patch'] }, writable: ['cart'] }, { path: '/plain' }],
    upstream: { mutationKeys: [{ id: 'u1', alg: 'HS256', secret: SECRET }, { id: 'u2', alg: 'EdDSA', publicKey: PUBLIC }] },
  })
  world.upstream.respond(obey)
})
afterAll(() => world[Symbol.asyncDispose]())

/** A client with a session holding START, and its public handle. */
async function visitor() {
  const client = world.newClient()
  await order(client, { patch: START }, { path: '/plain' })
  await order(client, {})
  return { client, sid: world.lastClaims()['sid'] as string }
}

const mutation = (token: string): { headers: [string, string][] } => ({ headers: [['X-Session-Mutation', token]] })

describe('a mutation signed by the upstream counts', () => {
  test.each([['HS256', {}], ['EdDSA', { alg: 'EdDSA', kid: 'u2' }]] as const)('%s', async (alg, signing) => {
    const { client, sid } = await visitor()
    const key = alg === 'EdDSA' ? await importPKCS8(PRIVATE, 'EdDSA') : Buffer.from(SECRET)
    const reply = await order(client, mutation(await signed({ sid, patch: '{"n":1,"text":"Zo\\u00eb"}', control: 'rotate' }, { ...signing, key })))
    expect([reply.status, leaksIn(reply.headers), reply.all('set-cookie').length]).toEqual([200, [], 1])
    expect(await dataOf(world, client)).toEqual({ ...START, n: 1, text: 'Zoë' })
  })

  test('destroy, and the first patch of a visitor without a session, which names no sid', async () => {
    const { client, sid } = await visitor()
    expect((await order(client, mutation(await signed({ sid, control: 'destroy' })))).status).toBe(200)
    expect(await dataOf(world, client)).toBeUndefined()
    expect((await order(client, mutation(await signed({ patch: '{"a":1}' })))).status).toBe(200)
    expect(await dataOf(world, client)).toEqual({ a: 1 })
  })

  test('an answer without one changes nothing', async () => {
    const { client } = await visitor()
    expect((await order(client, {})).status).toBe(200)
    expect(await dataOf(world, client)).toEqual(START)
  })
})

describe('MU5 anything else is refused whole', () => {
  type Make = (sid: string) => Promise<[string, string][]>
  const token = (claims: (sid: string) => JsonObject, signing?: Signing): Make => async (sid) => [['X-Session-Mutation', await signed(claims(sid), signing)]]
  const good = (sid: string): JsonObject => ({ sid, patch: '{"n":1}' })
  const rows: [what: string, headers: Make, reason: string][] = [
    ['unsigned headers', async () => [['X-Session-Patch', '{"n":1}']], 'signature'],
    ['an unsigned destroy', async () => [['X-Session-Control', 'destroy']], 'signature'],
    ['signed and unsigned together', async (sid) => [['X-Session-Mutation', await signed(good(sid))], ['X-Session-Patch', '{"n":1}']], 'signature'],
    ['two signed ones', async (sid) => [['X-Session-Mutation', await signed(good(sid))], ['X-Session-Mutation', await signed(good(sid))]], 'duplicate'],
    ['another key', token(good, { key: Buffer.from(OTHER) }), 'signature'],
    ['an unknown kid', token(good, { kid: 'u9' }), 'signature'],
    ['the gateway\'s own assertion key', token(good, { kid: 'a1', key: Buffer.from(ASSERTION_SECRET) }), 'signature'],
    ['the public key as a shared secret', token(good, { kid: 'u2', key: Buffer.from(PUBLIC) }), 'signature'],
    ['a critical extension', token(good, { header: { crit: ['b64'], b64: true } }), 'signature'],
    ['junk', async () => [['X-Session-Mutation', 'junk']], 'signature'],
    ['an assertion sent back', async () => [['X-Session-Mutation', world.upstream.lastRequest.header('x-session-assertion') as string]], 'signature'],
    ['another audience', token((sid) => ({ ...good(sid), aud: 'other-gateway' })), 'signature'],
    ['several audiences', token((sid) => ({ ...good(sid), aud: ['sessiongate'] })), 'signature'],
    ['expired', token((sid) => ({ ...good(sid), exp: Math.floor(Date.now() / 1_000) - 60 })), 'signature'],
    ['no expiry', token((sid) => ({ ...good(sid), exp: null })), 'signature'],
    ['another session\'s', token(() => good('Zk3vQ8yQ2mJr0b7hQyWw5A')), 'signature'],
    ['no session\'s', token(() => ({ patch: '{"n":1}' })), 'signature'],
    ['a patch that is no text', token((sid) => ({ sid, patch: { n: 1 } })), 'signature'],
    ['an invalid patch', token((sid) => ({ sid, patch: '{"n":1,"n":2}' })), 'json'],
    ['an unknown directive', token((sid) => ({ sid, control: 'explode' })), 'directive'],
  ]
  test.each(rows)('%s', async (_what, headers, reason) => {
    const { client, sid } = await visitor()
    const before = await counterOf(world.metrics, 'sessiongate_mutations_refused_total', { reason })
    const reply = await order(client, { headers: await headers(sid) })
    expect([reply.status, reply.all('set-cookie'), leaksIn(reply.headers)]).toEqual([502, [], []])
    expect(await counterOf(world.metrics, 'sessiongate_mutations_refused_total', { reason })).toBe(before + 1)
    expect(await dataOf(world, client)).toEqual(START)
  })

  test('every character of a token changed', async () => {
    const { client, sid } = await visitor()
    const whole = await signed(good(sid))
    for (let i = 0; i < whole.length; i += 7) {
      const spoiled = whole.slice(0, i) + (whole[i] === 'A' ? 'B' : 'A') + whole.slice(i + 1)
      expect((await order(client, mutation(spoiled))).status, spoiled).toBe(502)
    }
    expect(await dataOf(world, client)).toEqual(START)
  })

  test('a signature widens nothing: what the route may not do stays forbidden', async () => {
    const { client, sid } = await visitor()
    for (const claims of [{ sid, control: 'destroy' }, { sid, patch: '{"user":"eve"}' }]) {
      expect((await order(client, mutation(await signed(claims)), { path: '/cart' })).status).toBe(502)
    }
    expect((await order(client, mutation(await signed({ sid, patch: '{"cart":[1]}' })), { path: '/cart' })).status).toBe(200)
    expect(await dataOf(world, client)).toEqual({ ...START, cart: [1] })
  })
})

test('keys of the upstream rotate without a refused mutation in the overlap', async () => {
  const { client, sid } = await visitor()
  const upstreams = (keys: object[]): object => ({ app: { targets: [world.upstream.url], mutationKeys: keys } })
  const [u1, u3] = [{ id: 'u1', alg: 'HS256', secret: SECRET }, { id: 'u3', alg: 'HS256', secret: OTHER }]
  await world.reconfigure({ upstreams: upstreams([u1, u3]) })
  expect((await order(client, mutation(await signed({ sid, patch: '{"old":1}' })))).status).toBe(200)
  expect((await order(client, mutation(await signed({ sid, patch: '{"new":1}' }, { kid: 'u3', key: Buffer.from(OTHER) })))).status).toBe(200)
  await world.reconfigure({ upstreams: upstreams([u3]) })
  expect((await order(client, mutation(await signed({ sid, patch: '{"late":1}' })))).status).toBe(502)
  expect(await dataOf(world, client)).toEqual({ ...START, old: 1, new: 1 })
})
