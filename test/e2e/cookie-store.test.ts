import { describe, expect, test } from 'vitest'
import { createCookieStore } from '../../src/stores/cookie.ts'
import { watchCrashes } from '../support/crash-oracle.ts'
import type { HttpClient, HttpReply } from '../support/http-client.ts'
import { movingClock, type MovingClock } from '../support/moving-clock.ts'
import { connectRaw } from '../support/raw-client.ts'
import { acceptUpgrade, rawResponse } from '../support/raw-upstream.ts'
import { COOKIE_SECRET, startWorld, type World, type WorldOptions } from '../support/world.ts'

const MINUTE = 60_000
const NAMES = ['sid', 'sid.1', 'sid.2']
const NEXT_KEY = { id: 'c2', secret: 'the-n3xt-c00kie-9f8e7d6c5b4a39281706f5e4d3c2' }
const OLD_KEY = { id: 'c1', secret: COOKIE_SECRET }
const assertionKeys = [{ id: 'a1', alg: 'HS256', secret: 'assert-0a1b2c3d4e5f60718293a4b5c6d7e8f9' }]

async function cookieWorld({ config, ...options }: WorldOptions = {}): Promise<World> {
  return startWorld({ store: createCookieStore(), upstream: { maxHeaderBytes: 65_536 }, limits: { maxHeaderBytes: '32KB' }, config: { store: { kind: 'cookie' }, ...config }, ...options })
}

interface Order { readonly patch?: object; readonly control?: string; readonly path?: string }

/** A request whose answer asks for a change. */
async function order(world: World, client: HttpClient, { patch, control, path = '/' }: Order = {}): Promise<HttpReply> {
  const headers: [string, string][] = []
  if (patch) headers.push(['X-Session-Patch', Buffer.from(JSON.stringify(patch)).toString('base64url')])
  if (control !== undefined) headers.push(['X-Session-Control', control])
  world.upstream.respondOnce(rawResponse({ headers, body: 'app' }))
  return client.get(path)
}

/** What the app sees of the visitor; undefined: no session. */
async function dataSeen(world: World, client: HttpClient): Promise<unknown> {
  world.upstream.respondOnce(rawResponse({ body: 'app' }))
  expect((await client.get('/')).status).toBe(200)
  return seen(world)
}

function seen(world: World): unknown {
  const claims = world.lastClaims()
  return claims['new'] === true ? undefined : claims['data']
}

const ownCookies = (client: HttpClient): string[] => client.jar.all().map(({ name }) => name).filter((name) => NAMES.includes(name)).toSorted()
const namesIn = (reply: HttpReply): string[] => reply.all('set-cookie').map((line) => line.slice(0, line.indexOf('=')))
/** Text that no packing makes smaller. */
const noise = (length: number): string => Array.from({ length }, (_, at) => String.fromCharCode(33 + ((at * 7_919) % 91))).join('').replaceAll('"', 'q').replaceAll('\\', 'b')

describe('a session in the browser', () => {
  test('is there for the app on the next request, and nothing of it can be read on the way', async () => {
    await using world = await cookieWorld({ session: { cookie: { name: 'sid', secure: false }, subject: 'user.id', rotateOn: ['user.id'] } })
    const created = await order(world, world.client, { patch: { user: { id: 'annabelle', name: 'Ann' } } })
    expect(namesIn(created)).toEqual(['sid'])
    expect(created.header('set-cookie')).toMatch(/^sid=c1\.[A-Za-z0-9_-]+; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(created.header('cache-control')).toContain('no-')
    expect(await dataSeen(world, world.client)).toEqual({ user: { id: 'annabelle', name: 'Ann' } })
    expect(world.lastClaims()).toMatchObject({ sub: 'annabelle' })
    expect(world.upstream.lastRequest.all('cookie')).toEqual([])
    const value = world.client.jar.get('sid')?.value ?? ''
    expect(Buffer.from(value.slice(3), 'base64url').toString('latin1')).not.toMatch(/ann|user/i)
    expect(JSON.stringify(world.log)).not.toContain(value.slice(0, 24))
  })

  test('a logout clears it, and a login gets another sid', async () => {
    await using world = await cookieWorld({ session: { cookie: { name: 'sid', secure: false }, rotateOn: ['user'] } })
    await order(world, world.client, { patch: { cart: 1 } })
    await dataSeen(world, world.client)
    const before = world.lastClaims()['sid']
    await order(world, world.client, { patch: { user: 'ann' } })
    expect(await dataSeen(world, world.client)).toEqual({ cart: 1, user: 'ann' })
    const after = world.lastClaims()['sid']
    expect(after).not.toBe(before)
    await order(world, world.client, { control: 'rotate' })
    await dataSeen(world, world.client)
    expect([before, after]).not.toContain(world.lastClaims()['sid'])
    const gone = await order(world, world.client, { control: 'destroy' })
    expect(gone.header('set-cookie')).toBe('sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
    expect([ownCookies(world.client), await dataSeen(world, world.client)]).toEqual([[], undefined])
  })

  test('session: require, requireValue and session: read hold here too', async () => {
    await using world = await cookieWorld({ routes: [{}, { path: '/in', session: 'require' }, { path: '/staff', session: 'require', requireValue: { path: 'role', equals: 'staff' } }, { path: '/read', session: 'read' }, { path: '/none', session: 'none' }] })
    expect((await world.client.get('/in')).status).toBe(401)
    world.client.jar.set('sid', 'c1.forged')
    expect((await world.client.get('/in')).status).toBe(401)
    await order(world, world.client, { patch: { role: 'guest' } })
    const status = async (path: string): Promise<number> => (await world.client.get(path)).status
    expect([await status('/in'), await status('/staff'), (await order(world, world.client, { path: '/read', patch: { role: 'staff' } })).status]).toEqual([200, 401, 502])
    await order(world, world.client, { patch: { role: 'staff' } })
    expect(await status('/staff')).toBe(200)
    expect(await status('/none')).toBe(200)
    expect(world.upstream.lastRequest.all('cookie')).toEqual([])
  })

  test('of parallel changes the last answer wins: nothing is merged, and the visitor still has one whole session', async () => {
    await using world = await cookieWorld()
    await order(world, world.client, { patch: { n: 0 } })
    world.upstream.respond(({ target }) => rawResponse({ headers: [['X-Session-Patch', JSON.stringify({ [target.slice(1)]: 1 })]], body: '' }))
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.client.get(`/${name}`)))
    world.upstream.respond(() => rawResponse({ body: '' }))
    const data = await dataSeen(world, world.client) as Record<string, number>
    expect(data['n']).toBe(0)
    expect(Object.keys(data)).toHaveLength(2)
  })

  test('it is the same at every process that has the key', async () => {
    await using one = await cookieWorld()
    await using other = await cookieWorld()
    await order(one, one.client, { patch: { user: 'ann' } })
    await one.client.get(`${other.url}/`)
    expect(seen(other)).toEqual({ user: 'ann' })
  })
})

test('an app\'s own cookie, kept beside the session, is in there too, and goes with it', async () => {
  await using world = await cookieWorld({ routes: [{ cookies: [{ name: 'legacy', do: 'store' }, { name: 'sealed', do: 'encrypt' }] }] })
  world.upstream.respondOnce(rawResponse({ headers: [['Set-Cookie', 'legacy=id-4711; HttpOnly'], ['Set-Cookie', 'sealed=note'], ['Set-Cookie', 'plain=1']], body: '' }))
  const reply = await world.client.get('/')
  expect(namesIn(reply).toSorted()).toEqual(['plain', 'sealed', 'sid'])
  expect(JSON.stringify(reply.all('set-cookie'))).not.toContain('4711')
  await world.client.get('/')
  expect(world.upstream.lastRequest.header('cookie')?.split('; ').toSorted()).toEqual(['legacy=id-4711', 'plain=1', 'sealed=note'])
  await order(world, world.client, { control: 'destroy' })
  await world.client.get('/')
  expect(world.upstream.lastRequest.header('cookie')).not.toContain('legacy')
})

describe('over several cookies', () => {
  test('it grows to three, each line within 4096 bytes, shrinks, and leaves none behind', async () => {
    await using world = await cookieWorld({ session: { cookie: { name: 'sid', secure: false, domain: 'localhost' }, permanent: true } })
    const widths: number[] = []
    for (const size of [10, 3_000, 6_000, 8_300, 5_000, 10]) {
      const reply = await order(world, world.client, { patch: { text: noise(size) } })
      const lines = reply.all('set-cookie')
      for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4_096)
      widths.push(ownCookies(world.client).length)
      expect(await dataSeen(world, world.client)).toEqual({ text: noise(size) })
      expect(world.upstream.lastRequest.all('cookie')).toEqual([])
    }
    expect(widths).toEqual([1, 2, 3, 3, 2, 1])
    await order(world, world.client, { patch: { text: noise(8_000) } })
    expect(ownCookies(world.client)).toEqual(NAMES)
    const gone = await order(world, world.client, { control: 'destroy' })
    expect([namesIn(gone), ownCookies(world.client)]).toEqual([NAMES, []])
  })

  test('too large for three is refused like too large for any store: 502, nothing set, the session as it was', async () => {
    await using world = await cookieWorld()
    await order(world, world.client, { patch: { text: 'small' } })
    const reply = await order(world, world.client, { patch: { text: noise(9_500) } })
    expect([reply.status, reply.all('set-cookie')]).toEqual([502, []])
    expect(reply.body).toContain('ERR_SESSION_TOO_LARGE')
    expect(await dataSeen(world, world.client)).toEqual({ text: 'small' })
    const fresh = world.newClient()
    expect((await order(world, fresh, { patch: { text: noise(9_500) } })).status).toBe(502)
    expect(ownCookies(fresh)).toEqual([])
  })

  test('a part that is missing, old, or under another\'s name is no session and no error', async () => {
    await using world = await cookieWorld()
    await order(world, world.client, { patch: { text: noise(8_000) } })
    const first = world.client.jar.all()
    await order(world, world.client, { patch: { text: noise(8_001) } })
    const second = world.client.jar.all()
    const valueOf = (cookies: typeof first, name: string): string => cookies.find((cookie) => cookie.name === name)?.value ?? ''
    const send = async (values: Record<string, string>): Promise<unknown> => {
      using client = world.newClient()
      for (const [name, value] of Object.entries(values)) client.jar.set(name, value)
      return await dataSeen(world, client)
    }
    const [a0, a1, a2] = NAMES.map((name) => valueOf(first, name)) as [string, string, string]
    const [b0, b1, b2] = NAMES.map((name) => valueOf(second, name)) as [string, string, string]
    expect(await send({ 'sid': a0, 'sid.1': a1, 'sid.2': a2 })).toEqual({ text: noise(8_000) })
    const broken = [
      { 'sid': a0 }, { 'sid': a0, 'sid.1': a1 }, { 'sid.1': a1, 'sid.2': a2 }, { 'sid': a0, 'sid.1': b1, 'sid.2': a2 }, { 'sid': b0, 'sid.1': a1, 'sid.2': a2 },
      { 'sid': a0, 'sid.1': a1, 'sid.2': b2 }, { 'sid': a0, 'sid.1': a2, 'sid.2': a1 }, { 'sid': a1, 'sid.1': a0, 'sid.2': a2 }, { 'sid': a0, 'sid.1': a1, 'sid.2': a2.slice(0, -1) },
    ]
    for (const values of broken) expect(await send(values)).toBeUndefined()
    // A part too many, left by a longer session, does no harm and goes with the next change.
    using client = world.newClient()
    client.jar.set('sid.2', a2)
    await order(world, client, { patch: { text: 'short' } })
    expect([ownCookies(client), await dataSeen(world, client)]).toEqual([['sid'], { text: 'short' }])
  })

  test('the app can neither see nor set any of the names', async () => {
    await using world = await cookieWorld()
    world.upstream.respond(rawResponse({ headers: [['Set-Cookie', 'sid=evil'], ['Set-Cookie', 'SID.1=evil'], ['Set-Cookie', 'sid.2=evil'], ['Set-Cookie', 'sid.3=mine']], body: '' }))
    const reply = await world.client.get('/', { headers: { cookie: 'a=1; sid.1=x; sid=y; b=2; sid.2=z; sid.3=w' } })
    expect(reply.all('set-cookie')).toEqual(['sid.3=mine'])
    expect(world.upstream.lastRequest.all('cookie')).toEqual(['a=1; b=2; sid.3=w'])
  })
})

describe('lifetimes', () => {
  async function timed(session: Record<string, unknown> = {}): Promise<World & { readonly time: MovingClock }> {
    const time = movingClock()
    return Object.assign(await cookieWorld({ clock: time, session: { cookie: { name: 'sid', secure: false }, idle: '30m', absolute: '2h', ...session } }), { time })
  }

  test('an unused session ends after idle; a used one gets its cookie again, and ends after absolute', async () => {
    await using world = await timed()
    await order(world, world.client, { patch: { n: 1 } })
    world.time.forward(30 * MINUTE - 1)
    expect(await dataSeen(world, world.client)).toEqual({ n: 1 })
    world.time.forward(MINUTE - 1)
    const kept = world.client.jar.get('sid')?.value
    await dataSeen(world, world.client)
    expect(world.client.jar.get('sid')?.value).toBe(kept)
    world.time.forward(1)
    await dataSeen(world, world.client)
    expect(world.client.jar.get('sid')?.value).not.toBe(kept)
    world.time.forward(30 * MINUTE)
    expect(await dataSeen(world, world.client)).toBeUndefined()

    await order(world, world.client, { patch: { n: 2 } })
    for (let used = 0; used < 4; used++) {
      world.time.forward(29 * MINUTE)
      expect(await dataSeen(world, world.client)).toEqual({ n: 2 })
    }
    world.time.forward(4 * MINUTE)
    expect(await dataSeen(world, world.client)).toBeUndefined()
  })

  test('a cookie kept from before its lifetime ended opens nothing, though the browser would still send it', async () => {
    await using world = await timed()
    await order(world, world.client, { patch: { n: 1 } })
    const copy = world.client.jar.get('sid')?.value ?? ''
    world.time.forward(2 * 60 * MINUTE)
    using thief = world.newClient()
    thief.jar.set('sid', copy)
    expect(await dataSeen(world, thief)).toBeUndefined()
  })

  test('a permanent one says its end to the browser, moved by each use', async () => {
    await using world = await timed({ permanent: true })
    expect((await order(world, world.client, { patch: { n: 1 } })).header('set-cookie')).toContain('; Max-Age=1800;')
    world.time.forward(100 * MINUTE - 75 * MINUTE)
    expect((await order(world, world.client)).header('set-cookie')).toContain('; Max-Age=1800;')
    world.time.forward(28 * MINUTE)
    await order(world, world.client)
    world.time.forward(28 * MINUTE)
    await order(world, world.client)
    world.time.forward(28 * MINUTE)
    expect((await order(world, world.client)).header('set-cookie')).toContain(`; Max-Age=${(120 - 25 - 84) * 60};`)
  })
})

describe('keys and revocation, over a reload', () => {
  test('an old key opens and the next answer is sealed by the first; without it there is no session', async () => {
    await using world = await cookieWorld()
    await order(world, world.client, { patch: { text: noise(7_000) } })
    await world.reconfigure({ keys: { cookie: [NEXT_KEY, OLD_KEY], assertion: assertionKeys } })
    expect(await dataSeen(world, world.client)).toEqual({ text: noise(7_000) })
    expect(ownCookies(world.client)).toEqual(NAMES)
    const before = world.client.jar.headerFor('/')
    expect(await dataSeen(world, world.client)).toEqual({ text: noise(7_000) })
    expect(world.client.jar.headerFor('/')).toBe(before)
    await world.reconfigure({ keys: { cookie: [NEXT_KEY], assertion: assertionKeys } })
    expect(await dataSeen(world, world.client)).toEqual({ text: noise(7_000) })
    await world.reconfigure({ keys: { cookie: [OLD_KEY], assertion: assertionKeys } })
    expect(await dataSeen(world, world.client)).toBeUndefined()
  })

  test('notBefore ends all that began before it, copies too, and visitors can log in again', async () => {
    const time = movingClock()
    await using world = await cookieWorld({ clock: time })
    await order(world, world.client, { patch: { user: 'ann' } })
    time.forward(MINUTE)
    await order(world, world.client, { patch: { more: 1 } })
    await world.reconfigure({ store: { kind: 'cookie', notBefore: new Date(time()).toISOString() } })
    expect(await dataSeen(world, world.client)).toBeUndefined()
    await order(world, world.client, { patch: { user: 'ann' } })
    expect(await dataSeen(world, world.client)).toEqual({ user: 'ann' })
  })

  test('of a cookie under another name, of another gateway, or of another store: no session', async () => {
    await using world = await cookieWorld()
    await using renamed = await cookieWorld({ session: { cookie: { name: 'other', secure: false } } })
    await using stored = await startWorld()
    await order(world, world.client, { patch: { n: 1 } })
    await order(stored, stored.client, { patch: { n: 1 } })
    const sealed = world.client.jar.get('sid')?.value ?? ''
    const signed = stored.client.jar.get('sid')?.value ?? ''
    using client = renamed.newClient()
    client.jar.set('other', sealed)
    expect(await dataSeen(renamed, client)).toBeUndefined()
    client.jar.clear()
    client.jar.set('sid', signed)
    await client.get(`${world.url}/`)
    expect(seen(world)).toBeUndefined()
    client.jar.set('sid', sealed)
    await client.get(`${stored.url}/`)
    expect(seen(stored)).toBeUndefined()
  })
})

test('garbage under our names is no session, whatever it is: never an error', async () => {
  using _crashes = watchCrashes()
  await using world = await cookieWorld()
  await order(world, world.client, { patch: { text: noise(5_000) } })
  const [head = '', tail = ''] = NAMES.map((name) => world.client.jar.get(name)?.value ?? '')
  const garbage = [
    '', '.', 'c1', 'c1.', 'c1..', 'c1.AAAA', `c1.${'A'.repeat(38)}`, `c1.${'A'.repeat(4_000)}`, '2..', '3.aaaaaaaaaaa.', `2.${'a'.repeat(11)}.c1.AAAA`, '%00', '"c1.AAAA"', 'c1.%41', `${'x.'.repeat(500)}`,
    head.toLowerCase(), head.replace('c1', 'c9'), `3${head.slice(1)}`, `${head}=`, ` ${tail}`, tail, '__proto__.AAAA', 'constructor.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ]
  for (const one of garbage) {
    for (const other of [undefined, tail, one]) {
      await using client = await connectRaw(world.url)
      const cookie = `sid=${one}${other === undefined ? '' : `; sid.1=${other}`}`
      const reply = await client.request(`GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
      expect([cookie.slice(0, 40), reply.status]).toEqual([cookie.slice(0, 40), 200])
      expect(seen(world)).toBeUndefined()
    }
  }
})

describe('WebSockets', () => {
  const handshake = (cookie: string): string => ['GET /socket HTTP/1.1', 'Host: app.test', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Origin: http://app.test', ...(cookie ? [`Cookie: ${cookie}`] : []), '', ''].join('\r\n')

  test('the 101 brings the session up and its change down, in as many cookies as it takes', async () => {
    await using world = await cookieWorld()
    await order(world, world.client, { patch: { user: 'ann' } })
    world.upstream.respond(acceptUpgrade([['X-Session-Patch', Buffer.from(JSON.stringify({ text: noise(5_000) })).toString('base64url')]]))
    await using socket = await connectRaw(world.url)
    const reply = await socket.request(handshake(world.client.jar.headerFor('/')))
    expect(reply.status).toBe(101)
    expect(seen(world)).toEqual({ user: 'ann' })
    const lines = reply.all('set-cookie')
    expect(lines.map((line) => line.slice(0, line.indexOf('=')))).toEqual(['sid', 'sid.1'])
    for (const line of lines) world.client.jar.store(line)
    expect(await dataSeen(world, world.client)).toEqual({ user: 'ann', text: noise(5_000) })
  })

  test('one ends with its session: at once on a logout in this process, soon after notBefore anywhere', async () => {
    const time = movingClock()
    await using world = await cookieWorld({ clock: time, routes: [{ websocket: { recheck: '100ms' } }] })
    const openSocket = async () => {
      await order(world, world.client, { patch: { user: 'ann' } })
      world.upstream.respondOnce(acceptUpgrade())
      const socket = await connectRaw(world.url)
      expect((await socket.request(handshake(world.client.jar.headerFor('/')))).status).toBe(101)
      return socket
    }
    await using first = await openSocket()
    await order(world, world.client, { control: 'destroy' })
    await first.waitForClose()
    await using second = await openSocket()
    time.forward(1_000)
    await world.reconfigure({ store: { kind: 'cookie', notBefore: new Date(time()).toISOString() } })
    await second.waitForClose()
  })
})
