import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { storeKeyOf } from '../../src/signing/ids.ts'
import type { SessionId } from '../../src/session/session.ts'
import { GatedStore } from '../support/gated-store.ts'
import { counterOf } from '../support/metrics.ts'
import { answerTo, claimsOf, dataOf, obey, order, type Order } from '../support/obedient-app.ts'
import { connectRaw } from '../support/raw-client.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { cookieSigner, startWorld, type World, type WorldOptions } from '../support/world.ts'

const MINUTE = 60_000

interface GatedWorld extends World { readonly gates: GatedStore }

async function gatedWorld(options: WorldOptions = {}): Promise<GatedWorld> {
  const gates = new GatedStore(createMemoryStore(options.clock ? { clock: options.clock } : {}))
  const world = await startWorld({ ...options, store: gates })
  world.upstream.respond(obey)
  return Object.assign(world, { gates })
}

const cookieOf = (world: World): string => world.client.jar.get('sid')?.value as string

/** Starts a request that the app answers only when told to. */
async function slowly(world: World, answer: Order, cookie = cookieOf(world)) {
  let finish = (): void => {}
  const told = new Promise<void>((resolve) => { finish = resolve })
  const came = world.upstream.requestCount
  world.upstream.respondOnce(async () => { await told; return answerTo(answer) })
  const reply = world.newClient().get('/slow', { headers: { cookie: `sid=${cookie}` } })
  await world.upstream.waitForRequests(came + 1)
  return { async finish() { finish(); return await reply } }
}

/** What a cookie opens, on a client of its own. */
async function opens(world: World, cookie: string) {
  using client = world.newClient()
  client.jar.set('sid', cookie)
  return await dataOf(world, client)
}

describe('SF3 login', () => {
  test('rotates on demand: same data, new id, the old one dead at once on every node', async () => {
    await using one = await gatedWorld()
    await using other = await startWorld({ store: { ...one.gates.inner, close: async () => {} } })
    await order(one.client, { patch: { cart: [1] } })
    const old = cookieOf(one)
    const sid = (await order(one.client, {}), one.lastClaims()['sid'])
    await order(one.client, { patch: { user: { id: 'ann' } }, control: 'rotate' })
    for (const world of [one, other]) expect(await opens(world, old)).toBeUndefined()
    expect(await opens(other, cookieOf(one))).toEqual({ cart: [1], user: { id: 'ann' } })
    expect(other.lastClaims()['sid']).not.toBe(sid)
  })

  test('rotates by itself when a path of rotateOn changes, and not otherwise', async () => {
    await using world = await gatedWorld({ session: { rotateOn: ['user.id', 'roles'] } })
    const rotates = async (send: Order): Promise<boolean> => {
      const before = cookieOf(world)
      await order(world.client, send)
      return cookieOf(world) !== before
    }
    await order(world.client, { patch: { cart: 1 } })
    expect(await rotates({ patch: { user: { id: 'ann' } } })).toBe(true)
    expect(await rotates({ patch: { user: { id: 'ann', name: 'Ann' } } })).toBe(false)
    expect(await rotates({ patch: { roles: ['admin'] } })).toBe(true)
    expect(await rotates({ patch: { roles: ['admin'], cart: 2 } })).toBe(false)
    expect(await rotates({ patch: { user: { id: null } } })).toBe(true)
  })

  test('SF1 an id the client made up, signed or not, is never adopted', async () => {
    await using world = await gatedWorld()
    const made = 'A'.repeat(43) as SessionId
    for (const cookie of [cookieSigner.sign(made), `c1.${made}.${'A'.repeat(43)}`, made]) {
      using client = world.newClient()
      client.jar.set('sid', cookie)
      const reply = await order(client, { patch: { user: 'victim' } })
      expect(reply.all('set-cookie')).toHaveLength(1)
      expect(client.jar.get('sid')?.value).not.toContain(made)
      expect(await opens(world, cookie)).toBeUndefined()
    }
    expect(await world.gates.inner.load(storeKeyOf(made))).toBeUndefined()
  })

  test('SF2 an id is taken from the cookie alone', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const value = cookieOf(world)
    await world.newClient().request('POST', `/?sid=${value}&session=${value}`, { headers: { 'x-session-id': value, 'x-sid': value, authorization: `Bearer ${value}`, 'content-type': 'application/x-www-form-urlencoded' }, body: `sid=${value}` })
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
  })

  test('a session that ended leaves nothing a browser could use again', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const old = cookieOf(world)
    await order(world.client, { control: 'destroy' })
    using client = world.newClient()
    client.jar.set('sid', old)
    const reply = await order(client, { patch: { user: 'bob' } })
    expect(reply.all('set-cookie')).toHaveLength(1)
    expect(client.jar.get('sid')?.value).not.toBe(old)
    expect(await opens(world, old)).toBeUndefined()
  })
})

describe('requests in flight', () => {
  test('SF5 logout while a slow request runs stays a logout: its answer is delivered, its change and its cookie are not', async () => {
    for (const answer of [{ patch: { a: 2 } }, { patch: { user: 'ann' }, control: 'rotate' }, { control: 'permanent' }, { patch: { all: 1 }, control: 'replace' }] as Order[]) {
      await using world = await gatedWorld()
      await order(world.client, { patch: { user: 'ann' } })
      const old = cookieOf(world)
      const slow = await slowly(world, { ...answer, body: 'late' })
      await order(world.client, { control: 'destroy' })
      const reply = await slow.finish()
      expect([reply.status, reply.body, reply.all('set-cookie')]).toEqual([200, 'late', []])
      expect(await opens(world, old)).toBeUndefined()
      expect(await counterOf(world.metrics, 'sessiongate_mutations_dropped_total')).toBe(1)
    }
  })

  test('SF4 what was in flight when the id was rotated is applied to the successor, which it never learns', async () => {
    await using world = await gatedWorld({ session: { permanent: true } })
    await order(world.client, { patch: { cart: 1 } })
    const slow = await slowly(world, { patch: { seen: true }, control: 'permanent' })
    await order(world.client, { patch: { user: 'ann' }, control: 'rotate' })
    const reply = await slow.finish()
    expect([reply.status, reply.all('set-cookie')]).toEqual([200, []])
    expect(await dataOf(world)).toEqual({ cart: 1, user: 'ann', seen: true })
  })

  test('a slow read that ends after a rotation does not put the old cookie back', async () => {
    let now = Date.now()
    await using world = await gatedWorld({ session: { permanent: true }, clock: () => now as never })
    await order(world.client, { patch: { cart: 1 } })
    now += 5 * MINUTE
    const slow = await slowly(world, {})
    await order(world.client, { patch: { user: 'ann' }, control: 'rotate' })
    expect((await slow.finish()).all('set-cookie')).toEqual([])
    expect(await dataOf(world)).toEqual({ cart: 1, user: 'ann' })
  })

  test('a login overtaken by somebody else\'s rotation is refused: nobody but the visitor may know the id it stands under', async () => {
    await using world = await gatedWorld({ session: { rotateOn: ['user'] } })
    await order(world.client, { patch: { cart: 1 } })
    const victim = await slowly(world, { patch: { user: 'victim' } })
    await order(world.client, { control: 'rotate' })
    const reply = await victim.finish()
    expect([reply.status, reply.json<{ code: string }>().code, reply.all('set-cookie')]).toEqual([503, 'ERR_SESSION_CONFLICT', []])
    expect(await dataOf(world)).toEqual({ cart: 1 })
  })

  test('logout overtaken by a rotation ends the successor too', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const logout = await slowly(world, { control: 'destroy' })
    await order(world.client, { control: 'rotate' })
    const successor = cookieOf(world)
    expect((await logout.finish()).header('set-cookie')).toContain('sid=; Expires=Thu, 01 Jan 1970')
    expect(await opens(world, successor)).toBeUndefined()
  })

  test.each([['rotate', 'replace'], ['rotate', 'create'], ['patch', 'replace']] as const)('logout while a %s stands before the store\'s %s: nobody is logged in', async (what, method) => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const old = cookieOf(world)
    const gate = world.gates.hold(method)
    using racing = world.newClient()
    const answer = order(racing, what === 'rotate' ? { control: 'rotate' } : { patch: { a: 1 } }, { headers: { cookie: `sid=${old}` } })
    await gate.reached
    await order(world.client, { control: 'destroy' })
    gate.open()
    expect((await answer).all('set-cookie')).toEqual([])
    expect(await world.gates.liveRecords()).toBe(0)
  })

  test('many rotations while one request runs', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { n: 0 } })
    const slow = await slowly(world, { patch: { slow: 1 } })
    for (let n = 1; n <= 12; n++) await order(world.client, { patch: { n }, control: 'rotate' })
    expect((await slow.finish()).status).toBe(200)
    expect(await dataOf(world)).toEqual({ n: 12, slow: 1 })
  })
})

describe('two cookies', () => {
  test('CK1 two valid ones count as none, in either order, in one line or two; a mutation then makes a third', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    using second = world.newClient()
    await order(second, { patch: { user: 'bob' } })
    const [a, b] = [cookieOf(world), second.jar.get('sid')?.value as string]
    const { host } = new URL(world.url)
    for (const lines of [`Cookie: sid=${a}; sid=${b}\r\n`, `Cookie: sid=${b}; sid=${a}\r\n`, `Cookie: sid=${a}\r\nCookie: sid=${b}\r\n`]) {
      using client = await connectRaw(world.url)
      await client.request(`GET / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`)
      expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
    }
    expect(await counterOf(world.metrics, 'sessiongate_ambiguous_cookies_total')).toBe(3)
    const reply = await order(world.newClient(), { patch: { fresh: 1 } }, { headers: { cookie: `sid=${a}; sid=${b}` } })
    expect(reply.header('set-cookie')).not.toContain(a)
    expect([await opens(world, a), await opens(world, b)]).toEqual([{ user: 'ann' }, { user: 'bob' }])
  })

  test('41 a good one is found behind a bad one, and one behind itself', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const good = cookieOf(world)
    for (const cookie of [`sid=junk; sid=${good}`, `sid=${good}; sid=junk`, `sid=${good}; sid=${good}`, `sid=; sid; sid=${good}`]) {
      await order(world.newClient(), {}, { headers: { cookie } })
      expect(world.lastClaims()).toMatchObject({ data: { user: 'ann' } })
    }
  })
})

test('SF9 two users on one connection, keep-alive and pipelined, never cross', async () => {
  await using world = await gatedWorld()
  world.upstream.respond((request) => rawResponse({ body: String((claimsOf(request)['data'] as { user?: string }).user) }))
  const cookies: string[] = []
  for (const user of ['ann', 'bob']) {
    using client = world.newClient()
    world.upstream.respondOnce(answerTo({ patch: { user } }))
    await client.get('/')
    cookies.push(client.jar.get('sid')?.value as string)
  }
  using client = await connectRaw(world.url, { keep: false })
  const { host } = new URL(world.url)
  const requests = Number(process.env['CROSSING_REQUESTS'] ?? 4_000)
  const depth = 10
  for (let sent = 0; sent < requests; sent += depth) {
    const turns = Array.from({ length: depth }, (_, i) => (sent * 7 + i * i) % 3 % 2)
    void client.send(turns.map((who) => `GET / HTTP/1.1\r\nHost: ${host}\r\nCookie: sid=${cookies[who]}\r\n\r\n`).join(''))
    for (const who of turns) expect((await client.readResponse()).text).toBe(['ann', 'bob'][who])
  }
}, 120_000)

test('SF3: with a subject and no more, a login gets a new id, and the one planted before it is dead', async () => {
  await using world = await gatedWorld({ session: { subject: 'user.id' } })
  await order(world.client, { patch: { cart: [1] } })
  const planted = cookieOf(world)
  await order(world.client, { patch: { cart: [1, 2] } })
  expect(cookieOf(world)).toBe(planted)
  await order(world.client, { patch: { user: { id: 'ann' } } })
  expect(cookieOf(world)).not.toBe(planted)
  expect(await opens(world, planted)).toBeUndefined()
  expect(await opens(world, cookieOf(world))).toEqual({ cart: [1, 2], user: { id: 'ann' } })
})
