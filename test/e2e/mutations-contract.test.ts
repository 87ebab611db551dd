import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectRaw } from '../support/raw-client.ts'
import type { HeaderList } from '../support/http-framing.ts'
import { rawResponse, step } from '../support/raw-upstream.ts'
import { dataOf, encodePatch, leaksIn, obey, order, type Order } from '../support/obedient-app.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'
import type { JsonObject } from '../../src/session/session.ts'
import { counterOf } from '../support/metrics.ts'

const START: JsonObject = { user: { id: 'ann', name: 'Ann' }, count: 1 }

async function startedWith(data: JsonObject | undefined, options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options)
  world.upstream.respond(obey)
  if (data) await order(world.client, { patch: data })
  return world
}

interface Case {
  readonly id: string
  readonly what: string
  /** What is stored before; default START. */
  readonly before?: JsonObject | 'nothing'
  readonly send: Order
  readonly status?: number
  /** What is stored after; `undefined`: nothing. */
  readonly after: JsonObject | undefined
  readonly cookie?: 'none' | 'set' | 'new' | 'clear' | 'permanent'
}

const CASES: Case[] = [
  { id: 'MU1', what: 'a patch', send: { patch: { count: 2 } }, after: { ...START, count: 2 }, cookie: 'none' },
  { id: 'MU1', what: 'a patch below a member, removing another', send: { patch: { user: { name: null, mail: 'a@b' } } }, after: { user: { id: 'ann', mail: 'a@b' }, count: 1 }, cookie: 'none' },
  { id: 'MU1', what: 'any Unicode', send: { patch: { text: 'Zoë\u2028王芳😀\u0000"\\' } }, after: { ...START, text: 'Zoë\u2028王芳😀\u0000"\\' }, cookie: 'none' },
  { id: 'MU1', what: 'destroy', send: { control: 'destroy' }, after: undefined, cookie: 'clear' },
  { id: 'MU1', what: 'rotate', send: { control: 'rotate' }, after: START, cookie: 'new' },
  { id: 'MU1', what: 'rotate with a patch', send: { patch: { count: 9 }, control: 'rotate' }, after: { ...START, count: 9 }, cookie: 'new' },
  { id: 'MU1', what: 'clear with a patch', send: { patch: { a: 1, gone: null }, control: 'clear' }, after: { a: 1 }, cookie: 'none' },
  { id: 'MU1', what: 'clear alone', send: { control: 'clear' }, after: undefined, cookie: 'clear' },
  { id: 'MU1', what: 'replace, null included', send: { patch: { a: null }, control: 'replace' }, after: { a: null }, cookie: 'none' },
  { id: 'MU1', what: 'replace by nothing', send: { patch: {}, control: 'replace' }, after: undefined, cookie: 'clear' },
  { id: 'MU1', what: 'permanent', send: { control: 'permanent' }, after: START, cookie: 'permanent' },
  { id: 'MU1', what: 'shorter lifetimes', send: { control: 'idle=60, absolute=120' }, after: START, cookie: 'none' },
  { id: 'MU1', what: 'everything at once', send: { patch: { a: 1 }, control: 'rotate, clear, permanent, idle=60' }, after: { a: 1 }, cookie: 'permanent' },
  { id: 'MU1', what: 'the last member removed', before: { a: 1 }, send: { patch: { a: null } }, after: undefined, cookie: 'clear' },
  { id: 'MU1', what: 'an empty patch', send: { patch: {} }, after: START, cookie: 'none' },
  { id: 'MU1', what: 'empty control', send: { control: '' }, after: START, cookie: 'none' },
  { id: 'MU12', what: 'a patch without a session creates one', before: 'nothing', send: { patch: { a: 1 } }, after: { a: 1 }, cookie: 'set' },
  { id: 'MU12', what: 'a permanent one', before: 'nothing', send: { patch: { a: 1 }, control: 'permanent' }, after: { a: 1 }, cookie: 'permanent' },
  { id: 'MU12', what: 'removals alone create nothing', before: 'nothing', send: { patch: { a: null } }, after: undefined, cookie: 'none' },
  { id: 'MU12', what: 'neither does an empty patch', before: 'nothing', send: { patch: {} }, after: undefined, cookie: 'none' },
  { id: 'MU12', what: 'nor rotate, nor permanent', before: 'nothing', send: { control: 'rotate, permanent' }, after: undefined, cookie: 'none' },
  { id: 'MU12', what: 'destroy of nothing', before: 'nothing', send: { control: 'destroy' }, after: undefined, cookie: 'none' },
  { id: 'MU8', what: 'names of Object.prototype are data', before: 'nothing', send: { patch: JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"toString":"t"}') as JsonObject }, after: JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"toString":"t"}') as JsonObject, cookie: 'set' },
  { id: 'MU8', what: 'and removed like data', before: JSON.parse('{"__proto__":1,"a":1}') as JsonObject, send: { patch: JSON.parse('{"__proto__":null}') as JsonObject }, after: { a: 1 }, cookie: 'none' },
  { id: 'MU9', what: 'metadata is out of reach: its names are plain members', send: { patch: { version: 'x', ver: 1, sid: 'y', createdAt: 0, expiry: 0, permanent: true, new: true } }, after: { ...START, version: 'x', ver: 1, sid: 'y', createdAt: 0, expiry: 0, permanent: true, new: true }, cookie: 'none' },
  ...[200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 409, 422, 500, 502, 503].map((status): Case => ({
    id: 'MU10', what: `counts on ${status}`, send: { patch: { at: status }, status, ...(status === 206 ? { headers: [['Content-Range', 'bytes 0-1/2']] as HeaderList } : {}) }, status, after: { ...START, at: status }, cookie: 'none',
  })),
]

describe('what a mutation does', () => {
  let world: World
  beforeAll(async () => { world = await startedWith(undefined) })
  afterAll(() => world[Symbol.asyncDispose]())

  test.each(CASES)('$id $what', async ({ before = START, send, status = 200, after, cookie }) => {
    using client = world.newClient()
    if (before !== 'nothing') await order(client, { patch: before })
    const held = client.jar.get('sid')?.value
    const reply = await order(client, send)
    expect(reply.status).toBe(status)
    expect(leaksIn(reply.headers)).toEqual([])
    expect(await dataOf(world, client)).toEqual(after)

    const lines = reply.all('set-cookie')
    const value = /^sid=([^;]*)/.exec(lines[0] ?? '')?.[1]
    expect(lines.length).toBe(cookie === 'none' ? 0 : 1)
    if (cookie === 'clear') expect(lines[0]).toBe('sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
    if (cookie === 'new') expect(value).not.toBe(held)
    if (cookie === 'set' || cookie === 'new') expect(lines[0]).toMatch(/^sid=c1\.[\w-]{43}\.[\w+/]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
    if (cookie === 'permanent') expect(lines[0]).toMatch(/^sid=c1\.[\w-]{43}\.[\w+/]{43}; Expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; Max-Age=\d+; Path=\//)
    if (lines.length > 0) expect(reply.header('cache-control')).toBe('no-store')
    expect(reply.header('vary')).toBe('Cookie')
  })
})

const rawRefusals: [id: string, what: string, headers: HeaderList, reason: string][] = [
  ['MU6', 'invalid JSON', [['X-Session-Patch', '{"a":']], 'json'],
  ['MU6', 'invalid base64', [['X-Session-Patch', '***']], 'encoding'],
  ['MU6', 'base64url of no UTF-8', [['X-Session-Patch', Buffer.from([0xff, 0xfe]).toString('base64url')]], 'encoding'],
  ['MU6', 'an array', [['X-Session-Patch', Buffer.from('[1]').toString('base64url')]], 'type'],
  ['MU6', 'an unknown directive beside a good patch', [['X-Session-Patch', '{"a":1}'], ['X-Session-Control', 'rotate, explode']], 'directive'],
  ['MU6', 'a directive with a parameter', [['X-Session-Control', 'rotate;now']], 'directive'],
  ['MU6', 'destroy with a patch', [['X-Session-Patch', '{"a":1}'], ['X-Session-Control', 'destroy']], 'exclusive'],
  ['MU6', 'replace without a patch', [['X-Session-Control', 'replace']], 'exclusive'],
  ['MU6', 'a number that would change', [['X-Session-Patch', '{"a":9007199254740993}']], 'number'],
  ['MU6', 'a lone surrogate', [['X-Session-Patch', '{"a":"\\ud800"}']], 'json'],
  ['MU6', 'a duplicate member', [['X-Session-Patch', '{"a":1,"a":2}']], 'json'],
  ['MU6', 'a wrong version', [['X-Session-Control', 'if-version=other'], ['X-Session-Patch', '{"a":1}']], 'version'],
  ['MU7', 'two patch lines', [['X-Session-Patch', '{"a":1}'], ['X-Session-Patch', '{"b":1}']], 'duplicate'],
  ['MU7', 'two patch lines spelt differently', [['X-Session-Patch', '{"a":1}'], ['x-session-PATCH', '{"a":1}']], 'duplicate'],
  ['MU7', 'the same directive in two lines', [['X-Session-Control', 'rotate'], ['X-Session-Control', 'rotate']], 'duplicate'],
  ['MU7', 'deeper than allowed', [['X-Session-Patch', `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`]], 'depth'],
  ['MU7', 'more members than allowed', [['X-Session-Patch', `{"a":[${'1,'.repeat(1_000)}1]}`]], 'members'],
  ['MU17', 'latin-1 in the JSON', [['X-Session-Patch', '{"a":"\xe9"}']], 'encoding'],
  ['MU5', 'a signed mutation where none is taken', [['X-Session-Mutation', 'a.b.c']], 'signature'],
]

describe('what is refused is refused whole: 502, nothing stored, no cookie, the upstream\'s answer gone', () => {
  let world: World
  beforeAll(async () => { world = await startedWith(START) })
  afterAll(() => world[Symbol.asyncDispose]())

  test.each(rawRefusals)('%s %s', async (_id, _what, headers, reason) => {
    const before = await counterOf(world.metrics, 'sessiongate_mutations_refused_total', { reason })
    const reply = await order(world.client, { headers: [...headers, ['Set-Cookie', 'app=1'], ['X-App', 'secret']], body: 'secret' })
    expect(reply.status).toBe(502)
    expect(reply.json()).toMatchObject({ code: 'ERR_MUTATION_REFUSED', status: 502 })
    expect(reply.all('set-cookie')).toEqual([])
    expect(reply.header('x-app')).toBeUndefined()
    expect(reply.body).not.toContain('secret')
    expect(leaksIn(reply.headers)).toEqual([])
    expect(await counterOf(world.metrics, 'sessiongate_mutations_refused_total', { reason })).toBe(before + 1)
    expect(await dataOf(world)).toEqual(START)
    expect(world.log.find((line) => line['reason'] === reason)).toMatchObject({ code: 'ERR_MUTATION_REFUSED', level: 40 })
  })

  test('MU17 bytes no header may hold break the upstream\'s protocol', async () => {
    for (const value of ['{"a":1}\r x', '{"a":"\x00"}', '{"a":"\x01"}']) {
      world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', value]], body: 'x' }))
      expect((await world.client.get('/')).status).toBe(502)
    }
    expect(await dataOf(world)).toEqual(START)
  })

  test('a refused mutation for a visitor without a session creates none', async () => {
    using client = world.newClient()
    const reply = await order(client, { patch: { a: 1 }, control: 'explode' })
    expect([reply.status, reply.all('set-cookie')]).toEqual([502, []])
    expect(client.jar.all()).toEqual([])
  })
})

describe('sizes', () => {
  test('MU7 data up to session.maxBytes is stored, one byte more is refused', async () => {
    await using world = await startedWith(undefined, { session: { maxBytes: '1KB' }, upstream: { maxHeaderBytes: 7_168 } })
    const sized = (bytes: number): JsonObject => ({ a: 'x'.repeat(bytes - 8) })
    expect((await order(world.client, { patch: sized(1_024) })).status).toBe(200)
    const refused = await order(world.client, { patch: sized(1_025) })
    expect([refused.status, refused.json<{ code: string }>().code]).toEqual([502, 'ERR_SESSION_TOO_LARGE'])
    expect(await dataOf(world)).toEqual(sized(1_024))
  })

  test('MU7 a patch far over the limits is refused before it is read', async () => {
    await using world = await startedWith(START)
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', `{"a":"${'x'.repeat(40_000)}"}`]], body: 'x' }))
    const reply = await world.client.get('/')
    expect([reply.status, reply.json<{ code: string }>().code]).toEqual([502, 'ERR_MUTATION_REFUSED'])
    expect(await dataOf(world)).toEqual(START)
  })

  test('MU16 many small patches stop at the cap, and the session can still be read and made smaller', async () => {
    await using world = await startedWith(undefined, { session: { maxBytes: '512B' } })
    let accepted = 0
    let status = 200
    for (let i = 0; status === 200; i++) {
      status = (await order(world.client, { patch: { [`m${i}`]: 'x'.repeat(50) } })).status
      if (status === 200) accepted++
    }
    expect(accepted).toBe(Math.floor(511 / 57))
    expect(Object.keys(await dataOf(world) ?? {})).toHaveLength(accepted)
    expect((await order(world.client, { patch: { m0: null } })).status).toBe(200)
    expect((await order(world.client, { patch: { n0: 'x' } })).status).toBe(200)
  })

  test('MU16 members add up to session.maxMembers and not beyond', async () => {
    await using world = await startedWith(undefined, { session: { maxMembers: 30 } })
    const ten = (from: number): JsonObject => Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`m${from + i}`, 1]))
    for (const from of [0, 10, 20]) expect((await order(world.client, { patch: ten(from) })).status).toBe(200)
    expect((await order(world.client, { patch: { one: 'more' } })).json<{ code: string }>().code).toBe('ERR_MUTATION_REFUSED')
    expect(Object.keys(await dataOf(world) ?? {})).toHaveLength(30)
  })

  test('a session that some upstream could not be told of is refused at the commit, whichever route makes it', async () => {
    await using world = await startedWith(undefined, {
      config: { upstreams: { app: { targets: ['http://127.0.0.1:9'] }, small: { targets: ['http://127.0.0.1:9'], maxHeaderBytes: 1_024 } } },
      routes: [{ path: '/', upstream: 'app' }, { path: '/small', upstream: 'small', expose: ['user'] }],
    })
    await world.reconfigure({ upstreams: { app: { targets: [world.upstream.url] }, small: { targets: [world.upstream.url], maxHeaderBytes: 1_024 } } })
    expect((await order(world.client, { patch: { big: 'x'.repeat(2_000) } })).status).toBe(200)
    const refused = await order(world.client, { patch: { user: 'x'.repeat(900) } })
    expect([refused.status, refused.json<{ code: string }>().code]).toEqual([502, 'ERR_SESSION_TOO_LARGE'])
    expect(await dataOf(world)).toEqual({ big: 'x'.repeat(2_000) })
    expect((await order(world.client, {}, { path: '/small' })).status).toBe(200)
  })
})

describe('what a route allows', () => {
  const allRoutes: WorldOptions = {
    routes: [
      { path: '/' }, { path: '/read', session: 'read' }, { path: '/none', session: 'none' }, { path: '/patch', mutations: { allow: ['patch'] } },
      { path: '/nothing', mutations: { allow: [] } }, { path: '/cart', writable: ['cart', 'seen.*'], expose: ['cart', 'user.name'] }, { path: '/lenient', persistOn: 'non-5xx' },
    ],
  }
  let world: World
  beforeAll(async () => { world = await startedWith(undefined, allRoutes) })
  afterAll(() => world[Symbol.asyncDispose]())

  const rows: [id: string, path: string, send: Order, status: number, after: JsonObject | undefined][] = [
    ['MU4', '/read', { patch: { count: 2 } }, 502, START],
    ['MU4', '/read', { control: 'destroy' }, 502, START],
    ['MU4', '/read', {}, 200, START],
    ['MU4', '/none', { patch: { count: 2 } }, 200, START],
    ['MU4', '/none', { control: 'destroy' }, 200, START],
    ['MU4', '/patch', { patch: { count: 2 } }, 200, { ...START, count: 2 }],
    ['MU4', '/patch', { control: 'clear' }, 200, undefined],
    ['MU4', '/patch', { patch: { count: 2 }, control: 'rotate' }, 502, START],
    ['MU4', '/patch', { control: 'destroy' }, 502, START],
    ['MU4', '/patch', { control: 'permanent' }, 502, START],
    ['MU4', '/nothing', { patch: {} }, 502, START],
    ['MU4', '/nothing', {}, 200, START],
    ['MU4', '/cart', { patch: { cart: [1], seen: { x: 1 } } }, 200, { ...START, cart: [1], seen: { x: 1 } }],
    ['MU4', '/cart', { patch: { cart: [1], count: 2 } }, 502, START],
    ['MU4', '/cart', { patch: { cart: [1] }, control: 'replace' }, 502, START],
    ['MU4', '/cart', { control: 'destroy' }, 200, undefined],
    ['MU10', '/lenient', { patch: { count: 2 }, status: 499 }, 499, { ...START, count: 2 }],
    ['MU10', '/lenient', { patch: { count: 2 }, status: 500 }, 500, START],
    ['MU10', '/lenient', { control: 'destroy', status: 503 }, 503, START],
    ['MU10', '/lenient', { control: 'explode', status: 500 }, 500, START],
  ]
  test.each(rows)('%s %s %j: %i', async (_id, path, send, status, after) => {
    using client = world.newClient()
    await order(client, { patch: START })
    const reply = await order(client, send, { path })
    expect(reply.status).toBe(status)
    expect(leaksIn(reply.headers)).toEqual([])
    expect(await dataOf(world, client)).toEqual(after)
  })

  test('expose shows an upstream its part and no more', async () => {
    await order(world.client, { patch: { ...START, cart: [1] } })
    expect(await dataOf(world, world.client, '/cart')).toEqual({ cart: [1], user: { name: 'Ann' } })
  })

  test('session: none looks at nothing and says nothing', async () => {
    const reply = await order(world.client, {}, { path: '/none' })
    expect(world.upstream.lastRequest.header('x-session-assertion')).toBeUndefined()
    expect(world.upstream.lastRequest.header('cookie')).toBeUndefined()
    expect([reply.header('vary'), reply.header('cache-control'), reply.all('set-cookie')]).toEqual([undefined, undefined, []])
  })
})

describe('where a mutation does not count', () => {
  let world: World
  beforeAll(async () => { world = await startedWith(START) })
  afterAll(() => world[Symbol.asyncDispose]())
  const PATCH: HeaderList = [['X-Session-Patch', '{"count":66}'], ['X-Session-Control', 'rotate']]

  test('MU11 a 103 is not an answer', async () => {
    world.upstream.respondOnce([rawResponse({ status: 103, reason: 'Early Hints', headers: [...PATCH, ['Link', '</a.css>; rel=preload']] }), rawResponse({ body: 'ok' })])
    using client = await connectRaw(world.url)
    const cookie = `sid=${world.client.jar.get('sid')?.value}`
    const reply = await client.request(`GET / HTTP/1.1\r\nHost: ${new URL(world.url).host}\r\nCookie: ${cookie}\r\n\r\n`)
    for (const head of [reply, ...reply.interim]) expect(leaksIn(head.headers)).toEqual([])
    expect(reply.header('set-cookie')).toBeUndefined()
    expect(await dataOf(world)).toEqual(START)
  })

  test('MU11 trailers come too late', async () => {
    world.upstream.respondOnce(rawResponse({ headers: [['Trailer', 'X-Session-Patch']], chunks: ['ok'], trailers: PATCH }))
    using client = await connectRaw(world.url)
    const reply = await client.request(`GET / HTTP/1.1\r\nHost: ${new URL(world.url).host}\r\nCookie: sid=${world.client.jar.get('sid')?.value}\r\n\r\n`)
    expect([reply.text, reply.trailers, reply.header('trailer')]).toEqual(['ok', [], undefined])
    expect(await dataOf(world)).toEqual(START)
  })

  test.each(['X-Session_Patch', 'X_Session_Patch', 'X.Session.Patch', 'X-Session-Patch-2', 'X-SessionPatch'])('%s is not our field, and not shown either', async (name) => {
    const reply = await order(world.client, { headers: [[name, '{"count":66}']] })
    expect(reply.status).toBe(200)
    expect(reply.headers.filter(([field]) => /^x[-_.]session[-_.]/i.test(field))).toEqual([])
    expect(await dataOf(world)).toEqual(START)
  })

  test('MU4 a field the client sent is not the app\'s word, even when the app echoes every header', async () => {
    world.upstream.respondOnce((request) => rawResponse({ headers: [...request.headers.filter(([name]) => /^x[-_]/i.test(name) && !/assertion/i.test(name)).map(([name, value]): [string, string] => [name, value])], body: 'ok' }))
    const reply = await world.client.get('/', { headers: { 'X-Session-Patch': '{"count":66}', 'x_session_control': 'destroy' } })
    expect(reply.status).toBe(200)
    expect(world.upstream.lastRequest.headers.filter(([name]) => /^x[-_]session[-_](patch|control)/i.test(name))).toEqual([])
    expect(await dataOf(world)).toEqual(START)
  })

  test('MU1 one that the upstream names in Connection is stripped all the same', async () => {
    const reply = await order(world.client, { headers: [['Connection', 'X-Session-Patch, X-Session-Assertion'], ['X-Session-Assertion', 'echo']] })
    expect([reply.status, leaksIn(reply.headers)]).toEqual([200, []])
  })
})

describe('nothing of ours reaches the client', () => {
  const noise: HeaderList = [['X-Session-Assertion', 'echo'], ['x-session-mutation', ''], ['X-SESSION-FOO', '1'], ['X_Session_Bar', '1'], ['x.session.baz', '1']]
  const OURS: HeaderList = noise.filter(([name]) => name !== 'x-session-mutation')

  test.each([200, 204, 304, 302, 404, 500])('on %i', async (status) => {
    await using world = await startedWith(START)
    const reply = await order(world.client, { status, headers: OURS })
    expect([reply.status, leaksIn(reply.headers)]).toEqual([status, []])
  })

  test('on HEAD, on session: none, and with another prefix', async () => {
    await using world = await startedWith(START, { routes: [{}, { path: '/none', session: 'none' }] })
    expect(leaksIn((await order(world.client, { headers: [...OURS, ['X-Session-Patch', '{"a":1}']] }, { method: 'HEAD' })).headers)).toEqual([])
    expect(await dataOf(world)).toEqual({ ...START, a: 1 })
    expect(leaksIn((await order(world.client, { headers: [...noise, ['X-Session-Patch', 'junk'], ['X-Session-Control', 'junk']] }, { path: '/none' })).headers)).toEqual([])

    await world.reconfigure({ headerPrefix: 'X-Gate-' })
    world.upstream.respondOnce(rawResponse({ headers: [['X-Gate-Patch', '{"b":1}'], ['X-Gate-Assertion', 'x'], ['X-Session-Patch', 'the app\'s own']], body: 'ok' }))
    const reply = await world.client.get('/')
    expect(reply.headers.filter(([name]) => /gate/i.test(name))).toEqual([])
    expect(reply.header('x-session-patch')).toBe('the app\'s own')
    await world.client.get('/')
    expect(world.upstream.lastRequest.header('x-gate-assertion')).toBeDefined()
    expect(world.upstream.lastRequest.header('x-session-assertion')).toBeUndefined()
  })

  test('on a WebSocket: the 101 is withheld until the commit and carries the cookie, not the mutation', async () => {
    await using world = await startedWith(undefined)
    world.upstream.respondOnce([rawResponse({ status: 101, reason: 'Switching Protocols', headers: [['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='], ['X-Session-Patch', encodePatch({ ws: true })], ...OURS] }), step.echoBytes()])
    using client = await connectRaw(world.url)
    const { host } = new URL(world.url)
    const reply = await client.request(`GET /ws HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`)
    expect([reply.status, leaksIn(reply.headers)]).toEqual([101, []])
    expect(reply.all('set-cookie')).toHaveLength(1)
    world.client.jar.store(reply.header('set-cookie') as string)
    expect(await dataOf(world)).toEqual({ ws: true })
  })
})
