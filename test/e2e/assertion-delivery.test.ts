import { jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { JsonObject } from '../../src/session/session.ts'
import { movingClock } from '../support/moving-clock.ts'
import { answerTo, dataOf, leaksIn, obey, order } from '../support/obedient-app.ts'
import { connectRaw } from '../support/raw-client.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { ASSERTION_SECRET, COOKIE_SECRET, startWorld, type World, type WorldOptions } from '../support/world.ts'

async function openWorld(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options)
  world.upstream.respond(obey)
  return world
}

const token = (world: World): string => world.upstream.lastRequest.header('x-session-assertion') as string
const verify = (value: string, audience = 'app', currentDate = new Date()): Promise<JsonObject> =>
  jwtVerify(value, Buffer.from(ASSERTION_SECRET), { algorithms: ['HS256'], audience, issuer: 'sessiongate', typ: 'session+jwt', currentDate }).then(({ payload }) => payload as JsonObject)

describe('SG1 what an upstream is told', () => {
  test('of a session: everything, verifiable, and never the cookie or its id', async () => {
    await using world = await openWorld({ session: { subject: 'user.id' } })
    await order(world.client, { patch: { user: { id: 'ann' }, n: 1 } })
    await order(world.client, {})
    const claims = await verify(token(world))
    const now = Math.floor(Date.now() / 1_000)
    expect(claims).toEqual({
      iss: 'sessiongate', aud: 'app', iat: expect.any(Number) as number, exp: (claims['iat'] as number) + 60, sid: expect.stringMatching(/^[\w-]{22}$/) as string,
      sub: 'ann', ver: expect.stringMatching(/^[\w-]+$/) as string, new: false, permanent: false, data: { user: { id: 'ann' }, n: 1 },
    })
    expect(Math.abs((claims['iat'] as number) - now)).toBeLessThanOrEqual(1)
    const [, id = ''] = (world.client.jar.get('sid')?.value as string).split('.')
    expect(world.upstream.lastRequest.rawHead).not.toContain(id)
    expect(world.upstream.lastRequest.header('cookie')).toBeUndefined()
  })

  test('of no session: that too, signed', async () => {
    await using world = await openWorld()
    await order(world.client, {})
    expect(await verify(token(world))).toMatchObject({ new: true, permanent: false, data: {} })
    expect(Object.keys(await verify(token(world)))).not.toContain('sid')
  })

  test('sid is stable, ver changes with each write and with nothing else', async () => {
    await using world = await openWorld()
    const seen = async (): Promise<unknown[]> => { await order(world.client, {}); const { sid, ver } = world.lastClaims(); return [sid, ver] }
    await order(world.client, { patch: { n: 1 } })
    const first = await seen()
    expect(await seen()).toEqual(first)
    await order(world.client, { patch: { n: 2 } })
    const second = await seen()
    expect([second[0], second[1] === first[1]]).toEqual([first[0], false])
  })

  test('exactly one, last, whatever the client sends', async () => {
    await using world = await openWorld()
    await order(world.client, { patch: { n: 1 } })
    using client = await connectRaw(world.url)
    await client.request(`GET / HTTP/1.1\r\nHost: ${new URL(world.url).host}\r\nX-Session-Assertion: forged\r\nx_session_assertion: forged\r\nX-SESSION-ASSERTION: forged\r\nConnection: x-session-assertion\r\nCookie: sid=${world.client.jar.get('sid')?.value}\r\n\r\n`)
    const { headers } = world.upstream.lastRequest
    expect(headers.filter(([name]) => /^x[-_]session/i.test(name))).toHaveLength(1)
    expect(world.lastClaims()).toMatchObject({ data: { n: 1 } })
  })
})

describe('audience and lifetime', () => {
  test('SG2 the assertion of one upstream is worthless at another', async () => {
    await using world = await openWorld()
    await world.reconfigure({ upstreams: { app: { targets: [world.upstream.url] }, b: { targets: [world.upstream.url] } }, routes: [{ path: '/', upstream: 'app' }, { path: '/b', upstream: 'b' }] })
    await order(world.client, {}, { path: '/b' })
    await expect(verify(token(world), 'app')).rejects.toThrow('"aud"')
    expect(await verify(token(world), 'b')).toMatchObject({ aud: 'b' })
  })

  test('SG3 it is worthless when it has expired, and is signed anew before half its life is over', async () => {
    const clock = movingClock()
    await using world = await openWorld({ clock })
    await order(world.client, {})
    const first = token(world)
    clock.forward(29_999)
    await order(world.client, {})
    expect(token(world)).toBe(first)
    clock.forward(1)
    await order(world.client, {})
    expect(token(world)).not.toBe(first)
    await expect(verify(first, 'app', new Date(clock() + 31_000))).rejects.toThrow('"exp"')
  })

  test.each([['back by a second', -1_000], ['back by an hour', -3_600_000], ['on by an hour', 3_600_000]])('PR7 a clock that jumps %s: it is signed anew, never for a time to come', async (_what, jump) => {
    const clock = movingClock()
    await using world = await openWorld({ clock, session: { idle: '10h', absolute: '24h' } })
    await order(world.client, { patch: { n: 1 } })
    await order(world.client, {})
    clock.forward(jump)
    await order(world.client, {})
    expect(await verify(token(world), 'app', new Date(clock()))).toMatchObject({ data: { n: 1 }, iat: clock() / 1_000, exp: clock() / 1_000 + 60 })
  })

  test('its lifetime is the operator\'s', async () => {
    await using world = await openWorld({ config: { assertion: { lifetime: '10s' } } })
    await order(world.client, {})
    const { iat, exp } = world.lastClaims() as { iat: number; exp: number }
    expect(exp - iat).toBe(10)
  })

  test('a reused value never crosses two sessions, two versions or two routes', async () => {
    await using world = await openWorld({ routes: [{}, { path: '/part', expose: ['a'] }] })
    const clients = Array.from({ length: 5 }, () => world.newClient())
    await Promise.all(clients.map((client, i) => order(client, { patch: { a: i, b: i } })))
    for (let round = 0; round < 3; round++) {
      for (const [i, client] of clients.entries()) {
        expect(await dataOf(world, client)).toEqual({ a: i, b: i })
        expect(await dataOf(world, client, '/part')).toEqual({ a: i })
      }
    }
    await order(clients[0] as never, { patch: { a: 'new' } })
    expect(await dataOf(world, clients[0], '/part')).toEqual({ a: 'new' })
  })
})

describe('SG9 a session that does not fit the header', () => {
  const sized = (bytes: number): JsonObject => ({ a: 'x'.repeat(bytes) })

  test('up to the upstream\'s limit it is delivered whole, above it is refused when it would be stored', async () => {
    await using world = await openWorld({ session: { maxBytes: '64KB' } })
    const fits = async (bytes: number): Promise<boolean> => (await order(world.client, { patch: sized(bytes) })).status === 200
    let [low, high] = [1_000, 8_000]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (await fits(middle)) low = middle
      else high = middle
    }
    expect(await fits(low)).toBe(true)
    expect(await dataOf(world)).toEqual(sized(low))
    expect(token(world).length).toBeLessThanOrEqual(7_168)
    expect(token(world).length).toBeGreaterThan(7_140)
    for (const bytes of [high, 16_000, 40_000]) {
      world.upstream.respondOnce(answerTo({ patch: sized(bytes) }))
      const reply = await world.client.get('/')
      expect([reply.status, reply.json<{ code: string }>().code, reply.all('set-cookie')]).toEqual([502, 'ERR_SESSION_TOO_LARGE', []])
    }
    expect(await dataOf(world)).toEqual(sized(low))
  })

  test('the subject counts too, however much of the data it is', async () => {
    await using world = await openWorld({ session: { subject: 'user' } })
    for (let bytes = 500; bytes < 6_000; bytes += 500) {
      const { status } = await order(world.client, { patch: { user: 'x'.repeat(bytes) } })
      expect((await order(world.client, {})).status, `${bytes} bytes: ${status}`).toBe(200)
    }
  })

  test('one that was stored under larger limits is refused before the upstream is asked, and can be ended', async () => {
    await using world = await openWorld({ session: { maxBytes: '16KB' }, upstream: { maxHeaderBytes: 12_000 } })
    await order(world.client, { patch: sized(6_000) })
    await world.reconfigure({ upstreams: { app: { targets: [world.upstream.url], maxHeaderBytes: 4_000 } } })
    const seen = world.upstream.requestCount
    const reply = await world.client.get('/')
    expect([reply.status, reply.json<{ code: string }>().code, reply.all('set-cookie')]).toEqual([502, 'ERR_SESSION_TOO_LARGE', []])
    expect(world.upstream.requestCount).toBe(seen)
  })
})

describe('SG10 values in the header', () => {
  test.each<[string, JsonObject]>([
    ['non-ASCII', { v: 'Zoë 王芳 😀' }], ['quotes and line ends', { v: '"\\\r\n\t\u0000' }], ['separators', { v: '\u2028\u2029\u0085\ufeff' }],
    ['numbers', { v: [0, -1, 0.1, 1e300, 5e-324, 9_007_199_254_740_991] }], ['names', JSON.parse('{"__proto__":{"a":1},"":1,"a.b":2,"constructor":3}') as JsonObject],
  ])('%s: pure ASCII on the wire, the same value at the other end', async (_what, data) => {
    await using world = await openWorld()
    expect((await order(world.client, { patch: data })).status).toBe(200)
    await order(world.client, {})
    expect(token(world)).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(JSON.stringify((await verify(token(world)))['data'])).toBe(JSON.stringify(data))
  })
})

test('SG12 an assertion the upstream echoes does not get back to the client', async () => {
  await using world = await openWorld()
  await order(world.client, { patch: { n: 1 } })
  for (const status of [200, 302, 404, 500]) {
    world.upstream.respondOnce((request) => rawResponse({ status, headers: [['X-Session-Assertion', request.header('x-session-assertion') as string], ['x_session_assertion', 'x']], body: 'ok' }))
    expect(leaksIn((await world.client.get('/')).headers)).toEqual([])
  }
})

describe('SG7 key material that must not be used', () => {
  const config = (keys: object): Promise<unknown> => loadConfig({
    tree: { keys: { cookie: [{ id: 'c1', secret: COOKIE_SECRET }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }], ...keys }, store: { kind: 'memory' }, upstreams: { app: { targets: ['http://127.0.0.1:9'] } }, routes: [{ upstream: 'app' }] },
    env: {},
  })
  const assertion = (secret: string): object => ({ assertion: [{ id: 'a1', alg: 'HS256', secret }] })
  test.each<[string, object]>([
    ['a leading newline', assertion(`\n${ASSERTION_SECRET}`)], ['a byte order mark', assertion(`\ufeff${ASSERTION_SECRET}`)], ['a trailing space', assertion(`${ASSERTION_SECRET} `)],
    ['too short', assertion('aB3$'.repeat(7))], ['the cookie\'s key', assertion(COOKIE_SECRET)], ['a well-known one', assertion('change-me-change-me-change-me-change-me')],
    ['a public key for HS256', assertion('-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----')],
    ['no algorithm', { assertion: [{ id: 'a1', secret: ASSERTION_SECRET }] }], ['alg none', { assertion: [{ id: 'a1', alg: 'none', secret: ASSERTION_SECRET }] }],
    ['two keys of one id', { assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }, { id: 'a1', alg: 'HS256', secret: `${ASSERTION_SECRET}x` }] }], ['no key', { assertion: [] }],
  ])('%s', async (_what, keys) => {
    await expect(config(keys)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  })
  test('the configuration these rows spoil is good', async () => { await expect(config({})).resolves.toBeDefined() })
})
