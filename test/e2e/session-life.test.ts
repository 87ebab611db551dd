import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { GatedStore } from '../support/gated-store.ts'
import type { HttpReply } from '../support/http-client.ts'
import { movingClock, type MovingClock } from '../support/moving-clock.ts'
import { answerTo, dataOf, obey, order, type Order } from '../support/obedient-app.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const SECOND = 1_000
const MINUTE = 60_000

interface TimedWorld extends World { readonly clock: MovingClock; readonly gates: GatedStore }

async function timedWorld(options: WorldOptions = {}): Promise<TimedWorld> {
  const clock = movingClock()
  const gates = new GatedStore(createMemoryStore({ clock }))
  const world = await startWorld({ ...options, clock, store: gates })
  world.upstream.respond(obey)
  return Object.assign(world, { clock, gates })
}

const cookieLine = (reply: HttpReply): string | undefined => {
  const lines = reply.all('set-cookie')
  expect(lines.length).toBeLessThanOrEqual(1)
  return lines[0]
}
const maxAgeOf = (reply: HttpReply): number => Number(/; Max-Age=(\d+)/.exec(cookieLine(reply) ?? '')?.[1])

describe('from nothing to data and back', () => {
  test('nothing stored and no cookie until there is data; deleted, cookie too, when it is emptied; then a new id', async () => {
    await using world = await timedWorld()
    for (const what of [{}, { patch: {} }, { control: 'permanent' }] as Order[]) expect(cookieLine(await order(world.client, what))).toBeUndefined()
    expect(world.gates.calls).toEqual([])
    const first = cookieLine(await order(world.client, { patch: { a: 1 } })) as string
    const emptied = await order(world.client, { patch: { a: null } })
    expect(cookieLine(emptied)).toContain('sid=; Expires=Thu, 01 Jan 1970')
    expect(world.client.jar.all()).toEqual([])
    expect(await dataOf(world)).toBeUndefined()
    expect(cookieLine(await order(world.client, { patch: { a: 1 } }))).not.toBe(first)
  })

  test('34 writing, reading and deleting on the way: each request sees what the answer before it said', async () => {
    await using world = await timedWorld()
    for (let i = 1; i <= 5; i++) {
      await order(world.client, { patch: { count: i } }, { method: i % 2 ? 'POST' : 'GET' })
      expect(await dataOf(world)).toEqual({ count: i })
    }
  })

  test('21 a change on a redirect is seen at its target', async () => {
    await using world = await timedWorld()
    world.upstream.respondOnce(answerTo({ status: 302, patch: { user: 'ann' }, headers: [['Location', '/home']] }))
    const reply = await world.client.get('/login', { follow: 1 })
    expect([reply.url, world.lastClaims()['data']]).toEqual([`${world.url}/home`, { user: 'ann' }])
  })
})

describe('10 the matrix of permanent and refreshEachRequest: which reads set a cookie and slide', () => {
  const rows: [permanent: boolean, refreshEachRequest: boolean, touch: string, afterMs: number, cookie: boolean, slides: boolean][] = [
    [true, true, 'always', 10 * SECOND, true, true], [true, true, 'threshold', 10 * SECOND, false, false], [true, true, 'threshold', MINUTE, true, true],
    [true, true, 'never', 5 * MINUTE, false, false], [true, false, 'always', 5 * MINUTE, false, false], [false, true, 'always', 10 * SECOND, false, true],
    [false, true, 'threshold', 59 * SECOND, false, false], [false, true, 'threshold', MINUTE, false, true], [false, true, 'never', 5 * MINUTE, false, false],
    [false, false, 'always', 5 * MINUTE, false, false],
  ]
  test.each(rows)('permanent %s, refreshEachRequest %s, touch %s, a read after %i ms: cookie %s, slides %s', async (permanent, refreshEachRequest, touch, afterMs, cookie, slides) => {
    await using world = await timedWorld({ session: { permanent, refreshEachRequest, idle: '20m' }, routes: [{ touch }] })
    expect(Number.isNaN(maxAgeOf(await order(world.client, { patch: { count: 1 } })))).toBe(!permanent)
    world.clock.forward(afterMs)
    world.gates.forgetCalls()
    const read = await order(world.client, {})
    expect(cookieLine(read) !== undefined).toBe(cookie)
    expect(world.gates.count('touch')).toBe(slides ? 1 : 0)
    expect(world.gates.count('create', 'replace', 'destroy')).toBe(0)
    if (cookie) expect([maxAgeOf(read), read.header('cache-control')]).toEqual([20 * 60, 'no-store'])
    world.clock.forward(20 * MINUTE - afterMs)
    expect((await dataOf(world)) !== undefined).toBe(slides)
  })

  test('a write sets the cookie of a permanent session anew, and never that of another', async () => {
    await using world = await timedWorld()
    expect(maxAgeOf(await order(world.client, { patch: { a: 1 }, control: 'permanent' }))).toBe(30 * 60)
    world.clock.forward(10 * SECOND)
    expect(maxAgeOf(await order(world.client, { patch: { a: 2 } }))).toBe(30 * 60)
    const ended = await order(world.client, { control: 'transient' })
    expect(cookieLine(ended)).not.toContain('Max-Age')
    expect(cookieLine(await order(world.client, { patch: { a: 3 } }))).toBeUndefined()
    expect(world.lastClaims()).toMatchObject({ permanent: false })
  })

  test('the browser keeps a permanent session when it is closed and forgets any other', async () => {
    await using world = await timedWorld()
    await order(world.client, { patch: { a: 1 } })
    world.client.jar.closeBrowser()
    expect(await dataOf(world)).toBeUndefined()
    await order(world.client, { patch: { a: 1 }, control: 'permanent' })
    world.client.jar.closeBrowser()
    expect(await dataOf(world)).toEqual({ a: 1 })
  })
})

describe('idle and absolute lifetime', () => {
  test('SF6 used every half idle time, a session lives to the absolute end and not a moment longer', async () => {
    await using world = await timedWorld({ session: { idle: '10m', absolute: '30m' } })
    await order(world.client, { patch: { a: 1 } })
    for (let minutes = 5; minutes < 30; minutes += 5) {
      world.clock.forward(5 * MINUTE)
      expect(await dataOf(world)).toEqual({ a: 1 })
    }
    world.clock.forward(5 * MINUTE - 1)
    expect(await dataOf(world)).toEqual({ a: 1 })
    world.clock.forward(1)
    expect(await dataOf(world)).toBeUndefined()
  })

  test('writing does not move the absolute end, rotating neither', async () => {
    await using world = await timedWorld({ session: { idle: '10m', absolute: '30m' } })
    await order(world.client, { patch: { a: 0 } })
    for (let i = 1; i <= 3; i++) {
      world.clock.forward(9 * MINUTE)
      await order(world.client, { patch: { a: i }, control: 'rotate' })
    }
    world.clock.forward(3 * MINUTE - 1)
    expect(await dataOf(world)).toEqual({ a: 3 })
    world.clock.forward(1)
    expect(await dataOf(world)).toBeUndefined()
  })

  test('the cookie of a permanent session never outlives the absolute end', async () => {
    await using world = await timedWorld({ session: { idle: '10m', absolute: '12m', permanent: true } })
    expect(maxAgeOf(await order(world.client, { patch: { a: 1 } }))).toBe(10 * 60)
    world.clock.forward(5 * MINUTE)
    expect(maxAgeOf(await order(world.client, { patch: { a: 2 } }))).toBe(7 * 60)
  })

  test('no cookie lives longer than 400 days', async () => {
    await using world = await timedWorld({ session: { idle: '900d', absolute: '999d', permanent: true } })
    expect(maxAgeOf(await order(world.client, { patch: { a: 1 } }))).toBe(400 * 86_400)
  })

  test.each([['idle', { idle: '5m', absolute: '60m' }], ['absolute', { idle: '5m', absolute: '5m' }]])('a shorter %s in the configuration applies at once to what is stored', async (_what, lifetimes) => {
    await using world = await timedWorld({ session: { idle: '30m', absolute: '60m' } })
    await order(world.client, { patch: { a: 1 } })
    world.clock.forward(4 * MINUTE)
    if (lifetimes.absolute === '5m') expect(await dataOf(world)).toEqual({ a: 1 })       // used, so it is not idle time that ends it
    world.clock.forward(2 * MINUTE)
    await world.reconfigure({ session: { cookie: { name: 'sid', secure: false }, ...lifetimes } })
    expect(await dataOf(world)).toBeUndefined()
  })

  test('the upstream makes them shorter, never longer', async () => {
    await using world = await timedWorld({ session: { idle: '10m', absolute: '30m' } })
    await order(world.client, { patch: { a: 1 }, control: 'idle=60, absolute=150' })
    await order(world.client, { control: 'idle=6000, absolute=60000' })
    for (let i = 0; i < 2; i++) {
      world.clock.forward(59 * SECOND)
      expect(await dataOf(world)).toEqual({ a: 1 })
    }
    world.clock.forward(32 * SECOND)
    expect(await dataOf(world)).toBeUndefined()
  })

  test('SF7 the absolute end passes during a request: its answer is delivered, nothing is refreshed', async () => {
    await using world = await timedWorld({ session: { idle: '10m', absolute: '10m', permanent: true } })
    await order(world.client, { patch: { a: 1 } })
    world.upstream.respondOnce(() => { world.clock.forward(11 * MINUTE); return answerTo({ patch: { a: 2 }, body: 'late' }) })
    const reply = await world.client.get('/')
    expect([reply.status, reply.body, cookieLine(reply)]).toEqual([200, 'late', undefined])
    expect(await dataOf(world)).toBeUndefined()
  })

  test('PR7 a clock an hour back ends nothing and revives nothing that was ended', async () => {
    await using world = await timedWorld()
    await order(world.client, { patch: { a: 1 } })
    const cookie = world.client.jar.get('sid')?.value as string
    world.clock.forward(-60 * MINUTE)
    expect(await dataOf(world)).toEqual({ a: 1 })
    await order(world.client, { control: 'destroy' })
    world.client.jar.set('sid', cookie)
    world.clock.forward(-60 * MINUTE)
    expect(await dataOf(world)).toBeUndefined()
    world.clock.forward(125 * MINUTE)
    expect(await dataOf(world)).toBeUndefined()
  })
})

describe('PR7 a clock that runs ahead and is set right again', () => {
  test('by less than the idle time ends nothing, and what was used meanwhile lives no longer than it may', async () => {
    await using world = await timedWorld({ session: { idle: '30m', absolute: '60m' } })
    await order(world.client, { patch: { a: 1 } })
    world.clock.forward(20 * MINUTE)
    await order(world.client, { patch: { b: 2 } })
    world.clock.forward(-20 * MINUTE)
    expect(await dataOf(world)).toEqual({ a: 1, b: 2 })
    await order(world.client, { patch: { c: 3 } })
    for (let minutes = 0; minutes < 55; minutes += 5) {
      expect(await dataOf(world)).toEqual({ a: 1, b: 2, c: 3 })
      world.clock.forward(5 * MINUTE)
    }
    world.clock.forward(5 * MINUTE)
    expect(await dataOf(world)).toBeUndefined()
  })

  test.each([60, -60])('by %i minutes between a logout and a late change: the session stays ended', async (minutes) => {
    await using world = await timedWorld()
    await order(world.client, { patch: { a: 1 } })
    const cookie = `sid=${world.client.jar.get('sid')?.value}`
    world.upstream.respondOnce(async () => {
      await order(world.newClient(), { control: 'destroy' }, { headers: { cookie } })
      world.clock.forward(minutes * MINUTE)
      return answerTo({ patch: { late: true } })
    })
    const late = await world.client.get('/')
    expect([late.status, cookieLine(late)?.includes('sid=c1') ?? false]).toEqual([200, false])
    for (const back of [0, -minutes]) {
      world.clock.forward(back * MINUTE)
      expect(await dataOf(world, world.newClient())).toBeUndefined()
      await order(world.newClient(), {}, { headers: { cookie } })
      expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
    }
  })
})

describe('the cookie\'s attributes, the same when it is set and when it is deleted', () => {
  const rows: [what: string, cookie: object, tail: string][] = [
    ['plain loopback', { name: 'sid', secure: false }, '; Path=/; HttpOnly; SameSite=Lax'],
    ['CK9 the default in production', { secure: true }, '; Path=/; Secure; HttpOnly; SameSite=Lax'],
    ['a mount', { name: 'sid', secure: false, path: '/shop' }, '; Path=/shop; HttpOnly; SameSite=Lax'],
    ['a domain', { name: '__Secure-sid', secure: true, domain: 'example.com' }, '; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax'],
    ['readable by scripts, strict', { name: 'sid', secure: false, httpOnly: false, sameSite: 'strict' }, '; Path=/; SameSite=Strict'],
    ['partitioned, for other sites', { secure: true, sameSite: 'none', partitioned: true }, '; Path=/; Secure; HttpOnly; SameSite=None; Partitioned'],
    ['SameSite left out', { name: 'sid', secure: false, sameSite: 'omit' }, '; Path=/; HttpOnly'],
  ]
  test.each(rows)('%s', async (_what, cookie, tail) => {
    await using world = await timedWorld({ session: { cookie } })
    const name = 'name' in cookie ? cookie.name as string : '__Host-session'
    const set = cookieLine(await order(world.client, { patch: { a: 1 } })) as string
    const value = set.slice(name.length + 1, set.indexOf(';'))
    expect(set).toBe(`${name}=${value}${tail}`)
    expect(set.length).toBeLessThan(4_096)
    const cleared = await order(world.client, { control: 'destroy' }, { headers: { cookie: `${name}=${value}` } })
    expect(cookieLine(cleared)).toBe(`${name}=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0${tail}`)
    expect(await dataOf(world)).toBeUndefined()
  })

  test('2 a stripped mount: the cookie has the public path, never the upstream\'s', async () => {
    await using world = await timedWorld({ session: { cookie: { name: 'sid', secure: false, path: '/app' } }, routes: [{ path: '/app', stripPrefix: true }] })
    expect(cookieLine(await order(world.client, { patch: { a: 1 } }, { path: '/app/login' }))).toContain('; Path=/app;')
    expect(world.upstream.lastRequest.target).toBe('/login')
    expect(await dataOf(world, world.client, '/app/x')).toEqual({ a: 1 })
  })
})

describe('caches', () => {
  const rows: [what: string, send: Order, vary: string, cacheControl: string | undefined][] = [
    ['a visitor without a session', {}, 'Cookie', undefined],
    ['the same, cacheable', { headers: [['Cache-Control', 'public, max-age=60']] }, 'Cookie', 'public, max-age=60'],
    ['a session made', { patch: { a: 1 }, headers: [['Cache-Control', 'public, max-age=60']] }, 'Cookie', 'no-store'],
    ['a session read', {}, 'Cookie', 'private'],
    ['a session read, cacheable', { headers: [['Cache-Control', 'public, max-age=60, s-maxage=600']] }, 'Cookie', 'private, max-age=60'],
    ['a session read, not cacheable', { headers: [['Cache-Control', 'no-store']] }, 'Cookie', 'no-store'],
    ['Vary of the app kept', { headers: [['Vary', 'Accept-Encoding']] }, 'Accept-Encoding, Cookie', 'private'],
    ['Cookie not told twice', { headers: [['Vary', 'cookie, Accept']] }, 'cookie, Accept', 'private'],
    ['a session ended', { control: 'destroy' }, 'Cookie', 'no-store'],
  ]
  test('no cache hands one visitor\'s page to another', async () => {
    await using world = await timedWorld()
    for (const [what, send, vary, cacheControl] of rows) {
      const reply = await order(world.client, send)
      expect([what, reply.header('vary'), reply.header('cache-control')]).toEqual([what, vary, cacheControl])
    }
  })

  test('12 a session that was only refreshed varies too', async () => {
    await using world = await timedWorld({ session: { permanent: true } })
    await order(world.client, { patch: { a: 1 } })
    world.clock.forward(2 * MINUTE)
    const reply = await order(world.client, { headers: [['Cache-Control', 'public']] })
    expect([reply.all('set-cookie').length, reply.header('vary'), reply.header('cache-control')]).toEqual([1, 'Cookie', 'no-store'])
  })
})
