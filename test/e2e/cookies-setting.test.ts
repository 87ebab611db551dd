import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigInvalidError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { rawRequest } from '../support/raw-client.ts'
import { COOKIE_SECRET, startWorld } from '../support/world.ts'

// The cookie we set, and those of upstreams beside it (N37 to N40, N43, N56, N57, CK7 to CK10, CK12, CK13).

const patch = (json: string): readonly [string, string] => ['X-Session-Patch', json]
const HOST_COOKIE = { cookie: { name: '__Host-session', secure: true } }

describe('CK9 a new session', () => {
  test('gets one cookie, with everything that protects it', async () => {
    await using world = await startWorld({ session: HOST_COOKIE })
    world.upstream.respondOnce(rawResponse({ headers: [patch('{"a":1}'), ['Cache-Control', 'public, max-age=600'], ['Vary', 'Accept']], body: 'ok' }))
    const reply = await world.client.get('/')
    expect(reply.all('set-cookie')).toHaveLength(1)
    expect(reply.header('set-cookie')).toMatch(/^__Host-session=c1\.[\w-]{43}\.[\w+/]{43}; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
    expect(reply.header('cache-control')).toBe('no-store')
    expect(reply.header('vary')).toBe('Accept, Cookie')
    expect(reply.header('set-cookie')!.length).toBeLessThan(4_096)
  })

  test('permanent: with an expiry of at most 400 days, the same flags, and the same again when it is deleted', async () => {
    await using world = await startWorld({ session: { cookie: { name: '__Host-session', secure: true, partitioned: true, sameSite: 'strict' }, permanent: true, idle: '3650d', absolute: '3650d' } })
    world.upstream.respondOnce(rawResponse({ headers: [patch('{"a":1}')], body: 'ok' }), rawResponse({ headers: [['X-Session-Control', 'destroy']], body: 'ok' }))
    const [set, deleted] = [(await world.client.get('/')).header('set-cookie')!, (await world.client.get('/')).header('set-cookie')!]
    expect(set).toMatch(/; Max-Age=34560000; Path=\/; Secure; HttpOnly; SameSite=Strict; Partitioned$/)
    expect(deleted).toBe('__Host-session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict; Partitioned')
  })
})

describe('CK7, N37, N39 an upstream never sets our cookie', () => {
  test.each([
    '__Host-session=evil; Path=/; Secure', '__host-session=evil; Path=/; Secure', '__hOsT-sEsSiOn=evil', ' __Host-session=evil', '__Host-session =evil', '\t__Host-session\t=evil', '__Host-session', '__Host-session=', '__Host-session;', '__Host-session=; Max-Age=0',
    '=__Host-session=evil', '=__host-session=evil; Path=/', ' = __Host-session=evil',
  ])('%j', async (line) => {
    await using world = await startWorld({ session: HOST_COOKIE })
    world.upstream.respond(rawResponse({ headers: [['Set-Cookie', 'a=1'], ['Set-Cookie', line], patch('{"a":1}'), ['set-cookie', 'b=2']], body: 'ok' }))
    const reply = await rawRequest(world.url, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const lines = reply.all('set-cookie')
    expect(lines).toHaveLength(3)
    expect(lines.slice(0, 2)).toEqual(['a=1', 'b=2'])
    expect(lines[2]).toMatch(/^__Host-session=c1\./)
    expect((await world.metrics.registry.getSingleMetric('sessiongate_foreign_cookies_total')!.get()).values[0]!.value).toBe(1)
  })

  test('a name that only looks like ours is another cookie', async () => {
    await using world = await startWorld({ session: HOST_COOKIE })
    const lines = ['__Host-session2=a', '__Host-sessio=b', 'x__Host-session=c', '__Host_session=d', 'a=__Host-session=e']
    world.upstream.respond(rawResponse({ headers: lines.map((line) => ['Set-Cookie', line] as const), body: 'ok' }))
    expect((await world.client.get('/', { anonymous: true })).all('set-cookie')).toEqual(lines)
  })
})

test('CK8, N5, N40 Set-Cookie lines stay apart, in order, with their commas', async () => {
  await using world = await startWorld()
  const lines = ['a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/', 'b="x, y"; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'c=3', 'a=4; Path=/other', `big=${'x'.repeat(5_000)}`, 'latin=\xe4']
  world.upstream.respond(rawResponse({ headers: [...lines.map((line, i) => [i % 2 ? 'set-cookie' : 'Set-Cookie', line] as const), patch('{"a":1}')], body: 'ok' }))
  for (const method of ['GET', 'POST']) {
    const reply = await rawRequest(world.url, `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
    expect(reply.all('set-cookie').slice(0, -1)).toEqual(lines)
    expect(reply.all('set-cookie').at(-1)).toMatch(/^sid=/)
  }
})

test('CK10 a hundred reads of a session set no cookie and write nothing', async () => {
  const writes: string[] = []
  const memory = createMemoryStore({ clock: () => 1_700_000_000_000 as EpochMs })
  const store: SessionStore = {
    ...memory,
    create: (...args) => { writes.push('create'); return memory.create(...args) },
    replace: (...args) => { writes.push('replace'); return memory.replace(...args) },
    touch: (...args) => { writes.push('touch'); return memory.touch(...args) },
  }
  await using world = await startWorld({ store, clock: () => 1_700_000_000_000 as EpochMs })
  world.upstream.respondOnce(rawResponse({ headers: [patch('{"a":1}')], body: 'ok' }))
  await world.client.get('/')
  for (let i = 0; i < 100; i++) {
    const reply = await world.client.get('/')
    expect(reply.header('set-cookie')).toBeUndefined()
    expect(reply.header('vary')).toBe('Cookie')
  }
  expect(world.lastClaims()).toMatchObject({ data: { a: 1 } })
  expect(writes).toEqual(['create'])
})

describe('CK12 keys in rotation', () => {
  const key = (id: string, secret: string): object => ({ id, secret })
  const NEW_SECRET = 'n3w-cookie-5e4d3c2b1a09f8e7d6c5b4a392817'
  const keys = (...cookie: object[]): Record<string, unknown> => ({ keys: { cookie, assertion: [{ id: 'a1', alg: 'HS256', secret: 'assert-0a1b2c3d4e5f60718293a4b5c6d7e8f9' }] } })

  test('a cookie of a former key is accepted and issued again with the current one; of a retired key it is none', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce(rawResponse({ headers: [patch('{"user":"ann"}')], body: 'ok' }))
    await world.client.get('/')
    const old = world.client.jar.get('sid')!.value
    await world.reconfigure(keys(key('c2', NEW_SECRET), key('c1', COOKIE_SECRET)))
    const reissued = await world.client.get('/')
    expect(world.lastClaims()).toMatchObject({ data: { user: 'ann' } })
    expect(reissued.header('set-cookie')).toMatch(/^sid=c2\./)
    expect((await world.client.get('/')).header('set-cookie')).toBeUndefined()

    await world.reconfigure(keys(key('c2', NEW_SECRET)))
    await world.client.get('/')
    expect(world.lastClaims()).toMatchObject({ data: { user: 'ann' } })
    await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=${old}\r\n\r\n`)
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
  })
})

describe('CK13, N62 plain HTTP beyond this machine', () => {
  const tree = (changes: object): Record<string, unknown> => ({
    listen: '0.0.0.0:8080', admin: false, store: { kind: 'memory' }, upstreams: { app: { targets: ['http://127.0.0.1:5000'] } }, routes: [{ upstream: 'app' }],
    keys: { cookie: [{ id: 'c1', secret: COOKIE_SECRET }], assertion: [{ id: 'a1', alg: 'HS256', secret: 'assert-0a1b2c3d4e5f60718293a4b5c6d7e8f9' }] }, ...changes,
  })

  test('is refused at start: browsers would not return the cookie', async () => {
    await expect(loadConfig({ tree: tree({}), env: {} })).rejects.toThrow(ConfigInvalidError)
  })

  test('is warned of when the operator wants it', async () => {
    const { warnings } = await loadConfig({ tree: tree({ session: { cookie: { name: 'sid', secure: false } } }), env: {} })
    expect(warnings.map((warning) => JSON.stringify(warning)).join()).toContain('in the clear')
  })
})
