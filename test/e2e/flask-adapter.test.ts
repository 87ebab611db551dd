import { describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { deletesFlask, FLASK_SECRET, flaskCookie, seenByFlask, setsFlask } from '../support/flask-peer.ts'
import { GatedStore } from '../support/gated-store.ts'
import { movingClock, type MovingClock } from '../support/moving-clock.ts'
import { connectRaw } from '../support/raw-client.ts'
import { acceptUpgrade, rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

type Field = readonly [string, string]
const adapter = { kind: 'flask', secretKey: FLASK_SECRET }

interface Setting { readonly world: World; readonly store: GatedStore; readonly clock: MovingClock }

async function setting({ routes = [{}], ...options }: WorldOptions = {}, more: object = {}): Promise<Setting> {
  const clock = movingClock()
  const store = new GatedStore(createMemoryStore({ clock }))
  const world = await startWorld({ clock, store, routes: routes.map((route) => ({ adapter: { ...adapter, ...more }, ...route })), ...options })
  onTestFinished(() => world[Symbol.asyncDispose]())
  return { world, store, clock }
}

/** One request that the app answers with these fields. */
async function answered(world: World, fields: readonly Field[], options: { readonly status?: number; readonly path?: string } = {}) {
  world.upstream.respondOnce(rawResponse({ status: options.status ?? 200, headers: fields, body: 'ok' }))
  return world.client.get(options.path ?? '/')
}

describe('what the app gets', () => {
  test('is its own cookie, signed a few seconds ago, the same one for a minute', async () => {
    const { world, clock } = await setting()
    await answered(world, [setsFlask('{"a":1}')])
    const seen = []
    for (const wait of [0, 30_000, 29_000, 2_000]) {
      clock.forward(wait)
      await world.client.get('/')
      seen.push(((seenByFlask(world)?.signedAt ?? 0) - clock()) / 1_000)
    }
    expect(seen).toEqual([-5, -35, -64, -5])
  })

  test.each([-1_000, -30_000, -3_600_000, 3_600_000])('PR7: is signed anew when the clock jumps by %i ms: Flask refuses what is signed in a time to come', async (jump) => {
    const { world, clock } = await setting({ session: { idle: '10h', absolute: '24h' } })
    await answered(world, [setsFlask('{"a":1}')])
    await world.client.get('/')
    clock.forward(jump)
    await world.client.get('/')
    const age = clock() - (seenByFlask(world)?.signedAt ?? 0)
    expect(age).toBeGreaterThanOrEqual(jump === -1_000 ? 4_000 : 5_000)
    expect(age).toBeLessThanOrEqual(5_000)
  })

  test('is fresh for an app with a short memory', async () => {
    const { world, clock } = await setting({}, { permanentLifetime: '4s' })
    await answered(world, [setsFlask('{"a":1}')])
    for (let second = 0; second < 10; second++) {
      clock.forward(1_000)
      await world.client.get('/')
      const age = (clock() - (seenByFlask(world)?.signedAt ?? 0)) / 1_000
      expect(age).toBeGreaterThan(0)
      expect(age).toBeLessThan(4)
    }
  })

  test('is never the cookie of the browser', async () => {
    const { world } = await setting({}, { adopt: false })
    await world.client.get('/', { headers: { cookie: `session=${flaskCookie('{"admin":true}')}` } })
    expect(world.upstream.lastRequest.all('cookie')).toEqual([])
    await answered(world, [setsFlask('{"a":1}')])
    const sid = world.client.jar.get('sid')?.value ?? ''
    await world.client.get('/', { headers: { cookie: `a=b; session=forged;session=${flaskCookie('{"admin":true}')}; sid=${sid}; c="d;e"` } })
    expect(seenByFlask(world)?.payload).toBe('{"a":1}')
    expect(world.upstream.lastRequest.all('cookie')[0]).toMatch(/^a=b; c="d;e"; session=[\w.-]+$/)
  })

  test('is what its route may see, and it may change no more', async () => {
    const { world } = await setting({ routes: [
      { path: '/all', writable: ['*'] },
      { path: '/', expose: ['cart', 'name'], writable: ['cart'] },
    ] })
    await answered(world, [setsFlask('{"cart":[1],"name":"ann","secret":1}')], { path: '/all' })
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"cart":[1],"name":"ann"}')
    expect((await answered(world, [setsFlask('{"cart":[1,2],"name":"ann"}')])).status).toBe(200)
    expect((await answered(world, [setsFlask('{"cart":[1,2],"name":"bob"}')])).status).toBe(502)
    expect((await answered(world, [setsFlask('{"cart":[1,2],"name":"ann","secret":2}')])).status).toBe(502)
    await world.client.get('/all')
    expect(seenByFlask(world)?.payload).toBe('{"cart":[1,2],"name":"ann","secret":1}')
  })

  test('is what other apps have put into the session, in its own types', async () => {
    const { world } = await setting()
    await answered(world, [['X-Session-Patch', '{"when":{"$datetime":"2024-05-06T07:08:09Z"},"pair":{"$tuple":[1,"x"]},"n":1.5,"plain":{"a":null}}'], ['X-Session-Control', 'replace']])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"n":1.5,"pair":{" t":[1,"x"]},"plain":{"a":null},"when":{" d":"Mon, 06 May 2024 07:08:09 GMT"}}')
  })

  test('keeps the order of keys and the spelling of an app that does not sort', async () => {
    const { world } = await setting({}, { sortKeys: false })
    const payload = '{"z":{"b":1,"a":{"10":1,"9":2}},"a":"é","list":[{"y":1,"x":2}]}'
    await answered(world, [setsFlask(payload)])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe(payload)
    await answered(world, [setsFlask(payload.replace('"é"', '"e"'))])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe(payload.replace('"é"', '"e"'))
    expect(world.lastClaims()).toMatchObject({ data: { z: { b: 1, a: { 9: 2, 10: 1 } }, a: 'e' } })
  })

  test('comes with an assertion when that fits, and without when it does not', async () => {
    const { world } = await setting()
    await answered(world, [setsFlask(`{"text":"${'x'.repeat(9_000)}"}`)])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toHaveLength(9_011)
    expect(world.upstream.lastRequest.all('x-session-assertion')).toEqual([])
    await answered(world, [setsFlask('{"text":"x"}')])
    await world.client.get('/')
    expect(world.lastClaims()).toMatchObject({ data: { text: 'x' } })
  })
})

describe('what the app answers', () => {
  test('nothing, or the same again, writes nothing and sets no cookie', async () => {
    const { world, store } = await setting()
    await answered(world, [setsFlask('{"a":1.0,"b":"é"}')])
    store.forgetCalls()
    for (const fields of [[], [setsFlask('{"a":1.0,"b":"\\u00e9"}')], [setsFlask('{"b":"é","a":1.00}')]]) {
      expect((await answered(world, fields)).all('set-cookie')).toEqual([])
    }
    const long = `{"long":"${'x'.repeat(5_000)}"}`
    await answered(world, [setsFlask(long)])
    store.forgetCalls()
    await answered(world, [setsFlask(long)])
    expect(store.count('replace', 'create', 'destroy')).toBe(0)
  })

  test('a value changes members, and only those it changed', async () => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"gone":1,"kept":{"a":1,"b":2},"same":1.0}')])
    await answered(world, [setsFlask('{"kept":{"b":3},"new":null,"same":1.0}')])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"kept":{"b":3},"new":null,"same":1.0}')
  })

  test('parallel answers both count; of two for one member the later does', async () => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"a":1,"both":0,"gone":1}')])
    const cookie = `sid=${world.client.jar.get('sid')?.value}`
    world.upstream.respond(async ({ target }) => {
      await world.upstream.waitForRequests(3)
      return rawResponse({ headers: [setsFlask(target === '/1' ? '{"a":2,"both":1,"gone":1}' : '{"a":1,"b":3,"both":2}')], body: 'ok' })
    })
    await Promise.all(['/1', '/2'].map((path) => world.newClient().get(path, { headers: { cookie } })))
    world.upstream.respond(rawResponse({ body: 'ok' }))
    await world.client.get('/')
    expect(['{"a":2,"b":3,"both":1}', '{"a":2,"b":3,"both":2}']).toContain(seenByFlask(world)?.payload)
  })

  test.each([
    ['as Flask writes it', deletesFlask],
    ['empty', ['Set-Cookie', 'session=; Path=/'] as const],
    ['with a past Max-Age', ['Set-Cookie', 'session=deleted;Path=/; max-age = -1'] as const],
    ['as an empty session', setsFlask('{}')],
  ])('a deletion, %s, ends the session', async (_what, field) => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"a":1}')])
    expect((await answered(world, [field])).all('set-cookie')).toEqual(['sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
    await world.client.get('/')
    expect(seenByFlask(world)).toBeUndefined()
  })

  test('a permanent session outlives the browser, from the first answer on', async () => {
    const { world } = await setting()
    expect((await answered(world, [setsFlask('{"_permanent":true,"a":1}')])).all('set-cookie')[0]).toMatch(/^sid=.*; Expires=/)
    expect((await answered(world, [setsFlask('{"_permanent":false,"a":1}')])).all('set-cookie')[0]).not.toMatch(/Expires/)
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"_permanent":false,"a":1}')
  })

  test('where sessions are permanent anyway, the app decides for its own', async () => {
    const { world } = await setting({ session: { cookie: { name: 'sid', secure: false }, permanent: true } })
    expect((await answered(world, [setsFlask('{"a":1}')])).all('set-cookie')[0]).not.toMatch(/Expires/)
  })

  test('what another app says of permanence, it is told', async () => {
    const { world } = await setting()
    await answered(world, [['X-Session-Patch', '{"a":1}'], ['X-Session-Control', 'permanent']])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"_permanent":true,"a":1}')
  })

  test('its cookie and a patch by header both count', async () => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"a":1}'), ['X-Session-Patch', '{"b":{"c":2}}']])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"a":1,"b":{"c":2}}')
    await answered(world, [setsFlask('{"a":2,"b":{"c":2}}'), ['X-Session-Control', 'rotate, idle=60']])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"a":2,"b":{"c":2}}')
  })

  test('its other cookies pass, in order; ours and its own do not', async () => {
    const { world } = await setting()
    const reply = await answered(world, [['Set-Cookie', 'name=coco; Path=/'], setsFlask('{"a":1}'), ['Set-Cookie', 'sid=forged'], ['Set-Cookie', 'SESSION=other'], ['Set-Cookie', 'lang=zh; Expires=Wed, 31 Dec 2036 00:00:00 GMT']])
    expect(reply.all('set-cookie').map((line) => line.split(';')[0]?.replace(/=c1.*/, '=ours'))).toEqual(['name=coco', 'SESSION=other', 'lang=zh', 'sid=ours'])
  })

  test.each([
    ['nonsense', ['Set-Cookie', 'session=nonsense; Path=/'] as const],
    ['signed with another key', ['Set-Cookie', `session=${flaskCookie('{"a":1}').slice(0, -4)}AAAA; Path=/`] as const],
    ['signed, and no session', setsFlask('[1]')],
    ['nested too deeply', setsFlask(`{"a":${'['.repeat(30)}${']'.repeat(30)}}`)],
    ['with too many members', setsFlask(`{"a":[${Array.from({ length: 2_000 }, () => 1).join(',')}]}`)],
    ['too large', setsFlask(`{"a":"${'x'.repeat(20_000)}"}`)],
  ])('%s is refused, and nothing of it stored', async (_what, field) => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"a":0}')])
    const reply = await answered(world, [field, ['X-Session-Patch', '{"b":1}']])
    expect(reply.status).toBe(502)
    expect(reply.all('set-cookie')).toEqual([])
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"a":0}')
  })

  test.each([
    ['a route that only reads', { session: 'read' }, setsFlask('{"a":1}')],
    ['one that may not patch', { mutations: { allow: ['destroy', 'lifetime'] } }, setsFlask('{"a":1}')],
    ['one that may not end it', { mutations: { allow: ['patch'] } }, deletesFlask],
    ['one that may not make it permanent', { mutations: { allow: ['patch'] } }, setsFlask('{"_permanent":true}')],
  ])('%s refuses the change', async (_what, route, field) => {
    const { world } = await setting({ routes: [route] })
    expect((await answered(world, [field])).status).toBe(502)
  })

  test('a failed answer counts or not, as the route says', async () => {
    const { world } = await setting({ routes: [{ path: '/strict', persistOn: 'non-5xx' }, {}] })
    expect((await answered(world, [setsFlask('{"a":1}')], { status: 500, path: '/strict' })).all('set-cookie')).toEqual([])
    expect((await answered(world, [setsFlask('{"a":1}')], { status: 500 })).all('set-cookie')).toHaveLength(1)
  })

  test('on a WebSocket handshake it counts before the switch', async () => {
    const { world } = await setting()
    await answered(world, [setsFlask('{"a":1}')])
    world.upstream.respondOnce(acceptUpgrade([setsFlask('{"a":2}')]))
    const socket = await connectRaw(world.url)
    onTestFinished(() => socket.close())
    await socket.send(`GET /ws HTTP/1.1\r\nHost: ${new URL(world.url).host}\r\nOrigin: ${world.url}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: sid=${world.client.jar.get('sid')?.value}\r\n\r\n`)
    const head = (await socket.read()).toString('latin1')
    expect(head).toMatch(/^HTTP\/1\.1 101 /)
    expect(head).not.toMatch(/set-cookie: session=/i)
    expect(seenByFlask(world)?.payload).toBe('{"a":1}')
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"a":2}')
  })

  test('below a prefix the app does not know', async () => {
    const { world } = await setting({ routes: [{ path: '/shop', stripPrefix: true }] })
    await answered(world, [setsFlask('{"a":1}')], { path: '/shop/x' })
    await world.client.get('/shop/y?z')
    expect(world.upstream.lastRequest.target).toBe('/y?z')
    expect(seenByFlask(world)?.payload).toBe('{"a":1}')
  })
})
