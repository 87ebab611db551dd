import { describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { FLASK_SECRET, seenByFlask, setsFlask } from '../support/flask-peer.ts'
import { GatedStore } from '../support/gated-store.ts'
import { movingClock, type MovingClock } from '../support/moving-clock.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

type Field = readonly [string, string]

interface Setting { readonly world: World; readonly store: GatedStore; readonly clock: MovingClock }

async function setting(rules: readonly object[], { routes = [{}], session = {}, ...options }: WorldOptions = {}): Promise<Setting> {
  const clock = movingClock()
  const store = new GatedStore(createMemoryStore({ clock }))
  const world = await startWorld({
    clock, store, routes: routes.map((route) => ({ cookies: rules, ...route })),
    session: { cookie: { name: 'sid', secure: false }, subject: 'user', idle: '90d', absolute: '90d', ...session }, ...options,
  })
  onTestFinished(() => world[Symbol.asyncDispose]())
  return { world, store, clock }
}

const sets = (line: string): Field => ['Set-Cookie', line]
const patch = (json: string): Field => ['X-Session-Patch', json]

async function answered(world: World, fields: readonly Field[], path = '/', headers: Readonly<Record<string, string>> = {}) {
  world.upstream.respondOnce(rawResponse({ headers: fields, body: 'ok' }))
  return world.client.get(path, { headers })
}

/** The Cookie line the app gets for a path; '' when none. */
async function cookiesAt(world: World, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<string> {
  await world.client.get(path, { headers })
  const lines = world.upstream.lastRequest.all('cookie')
  expect(lines.length).toBeLessThan(2)
  return lines[0] ?? ''
}

const store = { name: 'JSESSIONID', do: 'store' }

describe('store', () => {
  test('keeps what the app sets beside the session: the app gets it again, the browser never', async () => {
    const { world } = await setting([store])
    const reply = await answered(world, [sets('JSESSIONID=abc.node1; Path=/; HttpOnly'), sets('theme=dark')])
    expect(reply.all('set-cookie').map((line) => line.split('=')[0])).toEqual(['theme', 'sid'])
    expect(await cookiesAt(world)).toBe('theme=dark; JSESSIONID=abc.node1')
    expect(world.lastClaims()).toMatchObject({ data: {}, new: false })
  })

  test('takes nothing of that name from the browser', async () => {
    const { world } = await setting([store])
    expect(await cookiesAt(world, '/', { cookie: 'JSESSIONID=chosen; a=b' })).toBe('a=b')
    await answered(world, [sets('JSESSIONID=abc; Path=/')])
    expect(await cookiesAt(world, '/', { cookie: `JSESSIONID=chosen; sid=${world.client.jar.get('sid')?.value}` })).toBe('JSESSIONID=abc')
  })

  test('sends by path, longest first, and by expiry', async () => {
    const { world, clock } = await setting([{ pattern: '*', do: 'store' }])
    await answered(world, [sets('a=root; Path=/'), sets('a=app; Path=/app'), sets('b=here'), sets('c=short; Path=/; Max-Age=60'), sets('d=gone; Path=/; Max-Age=0')], '/app/login')
    expect(await cookiesAt(world, '/')).toBe('a=root; c=short')
    expect(await cookiesAt(world, '/app/x')).toBe('a=app; b=here; a=root; c=short')
    expect(await cookiesAt(world, '/apple')).toBe('a=root; c=short')
    clock.forward(61_000)
    expect(await cookiesAt(world, '/')).toBe('a=root')
  })

  test('sends by domain', async () => {
    const { world } = await setting([{ pattern: '*', do: 'store' }])
    const host = { host: 'shop.example.com' }
    await answered(world, [sets('mine=1'), sets('ours=2; Domain=example.com'), sets('dotted=3; Domain=.example.com'), sets('theirs=4; Domain=other.com'), sets('all=5; Domain=com'), sets('below=6; Domain=a.shop.example.com')], '/', host)
    expect(await cookiesAt(world, '/', host)).toBe('mine=1; ours=2; dotted=3')
    expect(await cookiesAt(world, '/', { host: 'blog.example.com' })).toBe('ours=2; dotted=3')
    expect(await cookiesAt(world, '/', { host: 'notexample.com' })).toBe('')
  })

  test.each(['"com\x81', 'b\xfccher.example', '[::1', '%00', 'a b', '1.2.3.4.5.'])('FZ1: what no host can have as its domain, %j, is no cookie, and the answer goes on', async (domain) => {
    const { world } = await setting([store])
    const reply = await answered(world, [sets(`JSESSIONID=abc; Domain=${domain}`), sets('theme=dark')])
    expect(reply.status).toBe(200)
    expect(reply.all('set-cookie')).toEqual(['theme=dark'])
    expect(await cookiesAt(world)).toBe('theme=dark')
  })

  test('FZ2: a name that begins with other white space is another cookie, as browsers see it', async () => {
    const { world } = await setting([{ ...store, adopt: true }])
    expect(await cookiesAt(world, '/', { cookie: '\xa0JSESSIONID=planted; \tJSESSIONID\t=theirs; x\xa0=\xa01' })).toBe('\xa0JSESSIONID=planted; x\xa0=\xa01; JSESSIONID=theirs')
  })

  test('is for one app: no other upstream gets it', async () => {
    await using other = await startRawUpstream()
    await using app = await startRawUpstream()
    const { world } = await setting([store], {
      routes: [{ path: '/other', upstream: 'other' }, {}],
      config: { upstreams: { app: { targets: [app.url] }, other: { targets: [other.url] } } },
    })
    app.respondOnce(rawResponse({ headers: [sets('JSESSIONID=of-app; Path=/')], body: 'ok' }))
    await world.client.get('/')
    await world.client.get('/other')
    await world.client.get('/')
    expect(other.lastRequest.all('cookie')).toEqual([])
    expect(app.lastRequest.all('cookie')).toEqual(['JSESSIONID=of-app'])
  })

  test('replaces by name, domain and path; a deletion removes it, and the last one ends the session', async () => {
    const { world } = await setting([store])
    await answered(world, [sets('JSESSIONID=one; Path=/')])
    await answered(world, [sets('JSESSIONID=two; Path=/')])
    expect(await cookiesAt(world)).toBe('JSESSIONID=two')
    const reply = await answered(world, [sets('JSESSIONID=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT')])
    expect(reply.all('set-cookie')[0]).toMatch(/^sid=; Expires=Thu, 01 Jan 1970/)
    expect(await cookiesAt(world)).toBe('')
    expect(world.lastClaims()).toMatchObject({ new: true })
  })

  test('a deletion of what is not there creates nothing', async () => {
    const { world, store: gated } = await setting([store])
    expect((await answered(world, [sets('JSESSIONID=; Max-Age=0')])).all('set-cookie')).toEqual([])
    expect(gated.calls).toEqual([])
  })

  test('never conflicts with changes of the data', async () => {
    const { world } = await setting([{ pattern: '*', do: 'store' }])
    await answered(world, [patch('{"n":0}')])
    const cookie = `sid=${world.client.jar.get('sid')?.value}`
    world.upstream.respond(async ({ target }) => {
      await world.upstream.waitForRequests(5)
      return rawResponse({ headers: target.startsWith('/c') ? [sets(`${target.slice(1)}=1; Path=/`)] : [patch(`{"${target.slice(1)}":1}`)], body: 'ok' })
    })
    await Promise.all(['/c1', '/c2', '/d1', '/d2'].map((path) => world.newClient().get(path, { headers: { cookie } })))
    world.upstream.respond(rawResponse({ body: 'ok' }))
    expect((await cookiesAt(world)).split('; ').sort()).toEqual(['c1=1', 'c2=1'])
    expect(world.lastClaims()).toMatchObject({ data: { n: 0, d1: 1, d2: 1 } })
  })

  test.each([
    ['destroy', ['X-Session-Control', 'destroy'] as const],
    ['the data emptied', patch('{"user":null}')],
    ['the user another', patch('{"user":"bob"}')],
    ['nobody the user', patch('{"user":null,"lang":"de"}')],
  ])('is emptied with %s', async (_what, field) => {
    const { world } = await setting([store])
    await answered(world, [patch('{"user":"ann"}'), sets('JSESSIONID=of-ann; Path=/')])
    expect(await cookiesAt(world)).toBe('JSESSIONID=of-ann')
    await answered(world, [field])
    expect(await cookiesAt(world)).toBe('')
  })

  test('what the answer that changes the user sets is the new user\'s', async () => {
    const { world } = await setting([{ pattern: '*', do: 'store' }])
    await answered(world, [patch('{"user":"ann"}'), sets('a=ann; Path=/'), sets('b=ann; Path=/')])
    await answered(world, [patch('{"user":"bob"}'), sets('a=bob; Path=/')])
    expect(await cookiesAt(world)).toBe('a=bob')
  })

  test('a visitor who logs in keeps what the app knows of them', async () => {
    const { world } = await setting([store])
    await answered(world, [sets('JSESSIONID=visitor; Path=/')])
    await answered(world, [patch('{"user":"ann"}')])
    expect(await cookiesAt(world)).toBe('JSESSIONID=visitor')
  })

  test('survives a new id', async () => {
    const { world } = await setting([store])
    await answered(world, [sets('JSESSIONID=abc; Path=/')])
    await answered(world, [['X-Session-Control', 'rotate']])
    expect(await cookiesAt(world)).toBe('JSESSIONID=abc')
  })

  test('a cookie with an expiry makes the session outlive the browser', async () => {
    const { world } = await setting([store])
    expect((await answered(world, [sets('JSESSIONID=a; Path=/')])).all('set-cookie')[0]).not.toMatch(/Expires/)
    expect((await answered(world, [sets('JSESSIONID=b; Path=/; Max-Age=86400')])).all('set-cookie')[0]).toMatch(/Expires/)
  })

  test('an expiry that only moves on is written when half of it is used up', async () => {
    const { world, store: gated, clock } = await setting([store])
    await answered(world, [sets('JSESSIONID=a; Path=/; Max-Age=1000')])
    const writes = []
    for (const seconds of [10, 400, 200]) {
      clock.forward(seconds * 1_000)
      gated.forgetCalls()
      await answered(world, [sets('JSESSIONID=a; Path=/; Max-Age=1000')])
      writes.push(gated.count('replace'))
    }
    expect(writes).toEqual([0, 0, 1])
  })

  test('keeps at most fifty, the newest, and no more bytes than a session may have', async () => {
    const { world, clock } = await setting([{ pattern: 'c*', do: 'store' }])
    for (let n = 0; n < 6; n++) {
      clock.forward(1_000)
      await answered(world, Array.from({ length: 10 }, (_, i) => sets(`c${n}${i}=1; Path=/`)))
    }
    const names = (await cookiesAt(world)).split('; ')
    expect(names).toHaveLength(50)
    expect(names[0]).toBe('c10=1')
    expect((await answered(world, [sets(`c=${'x'.repeat(17_000)}; Path=/`)])).status).toBe(502)
    expect((await cookiesAt(world)).split('; ')).toHaveLength(50)
  })

  test('takes over what a visitor still has, once, where the operator says so', async () => {
    const { world } = await setting([{ ...store, adopt: true }])
    const cookie = 'JSESSIONID=live'
    expect(await cookiesAt(world, '/x', { cookie })).toBe('JSESSIONID=live')
    expect(await cookiesAt(world)).toBe('JSESSIONID=live')
    await answered(world, [sets('JSESSIONID=next; Path=/x')])
    expect(await cookiesAt(world, '/x')).toBe('JSESSIONID=next')
    await answered(world, [['X-Session-Control', 'destroy']])
    world.client.jar.clear()
    expect(await cookiesAt(world, '/x', { cookie })).toBe('')
  })
})

describe('what browsers still have of a stored cookie', () => {
  const gone = (name: string, place = 'Path=/'): string => `${name}=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; ${place}; HttpOnly`
  const deleted = (lines: readonly string[]): string[] => lines.filter((line) => !line.startsWith('sid='))

  test.each([
    ['taken over or not: where most apps set it', { adopt: true }, [gone('JSESSIONID')]],
    ['ignored', {}, [gone('JSESSIONID')]],
    ['where the operator says the app had set it', { path: '/shop', domain: '.example.com' }, [gone('JSESSIONID', 'Domain=.example.com; Path=/shop')]],
    ['at several paths', { path: ['/a', '/b'] }, [gone('JSESSIONID', 'Path=/a'), gone('JSESSIONID', 'Path=/b')]],
  ])('is deleted: %s', async (_what, more, lines) => {
    const { world } = await setting([{ ...store, ...more }])
    expect(deleted((await world.client.get('/', { headers: { cookie: 'JSESSIONID=live; a=b' } })).all('set-cookie'))).toEqual(lines)
    expect(deleted((await world.client.get('/')).all('set-cookie'))).toEqual([])
  })

  test('also where the app sets it now', async () => {
    const { world } = await setting([store])
    await answered(world, [sets('JSESSIONID=abc; Path=/app')])
    const cookie = `JSESSIONID=old; sid=${world.client.jar.get('sid')?.value}`
    expect(deleted((await world.client.get('/app/x', { headers: { cookie } })).all('set-cookie'))).toEqual([gone('JSESSIONID'), gone('JSESSIONID', 'Path=/app')])
  })

  test('a __Host- cookie is deleted as one', async () => {
    const { world } = await setting([{ name: '__Host-app', do: 'store' }])
    const reply = await world.client.get('/', { headers: { cookie: '__Host-app=1' } })
    expect(reply.all('set-cookie')).toEqual(['__Host-app=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; Secure; HttpOnly'])
  })

  test('stays where another rule lets it, or the store is away', async () => {
    const { world, store: gated } = await setting([{ pattern: 'p*', do: 'pass' }, { pattern: 'd*', do: 'drop' }, { pattern: 'e*', do: 'encrypt' }, store], { routes: [{ onStoreError: 'anonymous' }] })
    expect((await world.client.get('/', { headers: { cookie: 'pp=1; dd=1; ee=1; zz=1' } })).all('set-cookie')).toEqual([])
    await answered(world, [sets('JSESSIONID=abc; Path=/')])
    gated.fail('load', new Error('away'))
    expect((await world.client.get('/', { headers: { cookie: `JSESSIONID=old; sid=${world.client.jar.get('sid')?.value}` } })).all('set-cookie')).toEqual([])
  })

  test('names no browser sends, and too many of them, are not answered', async () => {
    const { world } = await setting([{ pattern: '*', do: 'store' }])
    expect((await world.client.get('/', { headers: { cookie: '=1; a b=2; \xe9=3' } })).all('set-cookie')).toEqual([])
    const many = Array.from({ length: 300 }, (_, n) => `c${n}=`).join(';')
    expect((await world.client.get('/', { headers: { cookie: many } })).all('set-cookie')).toHaveLength(50)
  })
})

describe('encrypt', () => {
  const rules = [{ name: 'prefs', do: 'encrypt' }]
  const value = (world: World): string => world.client.jar.get('prefs')?.value ?? ''

  test('seals the value for the browser, and leaves the attributes alone', async () => {
    const { world, store: gated } = await setting(rules)
    const reply = await answered(world, [sets('prefs="a, b"; Path=/x; Max-Age=60; HttpOnly')], '/x')
    expect(reply.all('set-cookie')).toEqual([expect.stringMatching(/^prefs=c1\.[\w-]+; Path=\/x; Max-Age=60; HttpOnly$/)])
    expect(Buffer.from(value(world), 'base64url').toString()).not.toContain('a, b')
    expect(await cookiesAt(world, '/x')).toBe('prefs="a, b"')
    expect(gated.calls).toEqual([])
  })

  test('opens nothing that was forged, altered, renamed or set by another app', async () => {
    const { world } = await setting([{ pattern: 'p*', do: 'encrypt' }])
    await answered(world, [sets('prefs=a; Path=/')])
    const sealed = value(world)
    for (const forged of ['plain', `${sealed.slice(0, -1)}${sealed.endsWith('A') ? 'B' : 'A'}`, sealed.slice(0, 20), `c2${sealed.slice(2)}`]) {
      expect(await cookiesAt(world, '/', { cookie: `prefs=${forged}` })).toBe('')
    }
    expect(await cookiesAt(world, '/', { cookie: `ppp=${sealed}` })).toBe('')
    expect(await cookiesAt(world, '/', { cookie: `prefs=${sealed}` })).toBe('prefs=a')
  })

  test('is for the user it was sealed for', async () => {
    const { world } = await setting(rules)
    await answered(world, [sets('prefs=visitor; Path=/')])
    await answered(world, [patch('{"user":"ann"}')])
    expect(await cookiesAt(world)).toBe('prefs=visitor')
    await answered(world, [sets('prefs=of ann; Path=/')])
    expect(await cookiesAt(world)).toBe('prefs=of ann')
    await answered(world, [patch('{"user":"bob"}')])
    expect(await cookiesAt(world)).toBe('')
    await answered(world, [['X-Session-Control', 'destroy']])
    expect(await cookiesAt(world)).toBe('')
    await answered(world, [patch('{"user":"ann"}')])
    expect(await cookiesAt(world)).toBe('prefs=of ann')
  })

  test('is sealed for whom the same answer logs in', async () => {
    const { world } = await setting(rules)
    await answered(world, [patch('{"user":"ann"}'), sets('prefs=of ann; Path=/')])
    expect(await cookiesAt(world)).toBe('prefs=of ann')
    await answered(world, [['X-Session-Control', 'destroy']])
    expect(await cookiesAt(world)).toBe('')
  })

  test('a deletion passes, and so does a mounted path', async () => {
    const { world } = await setting(rules, { routes: [{ path: '/app', stripPrefix: true }] })
    expect((await answered(world, [sets('prefs=1; Path=/')], '/app/x')).all('set-cookie')[0]).toMatch(/; Path=\/app$/)
    expect((await answered(world, [sets('prefs=; Path=/; Max-Age=0')], '/app/x')).all('set-cookie')).toEqual(['prefs=; Path=/app; Max-Age=0'])
  })
})

describe('drop, pass, and rules in order', () => {
  test('the first rule that fits counts; without one, every byte passes', async () => {
    const { world } = await setting([{ name: 'keep_me', do: 'pass' }, { pattern: 'keep_*', do: 'drop' }, { pattern: '_ga*', do: 'drop' }])
    expect(await cookiesAt(world, '/', { cookie: 'a=1;b="x y";  keep_me=2; keep_not=3; _ga=4;_gat=5; c' })).toBe('a=1;b="x y";  keep_me=2; c')
    const reply = await answered(world, [sets('_ga=1'), sets('keep_not=1'), sets('keep_me=1'), sets('b=1;  Path=/ ;weird')])
    expect(reply.all('set-cookie')).toEqual(['keep_me=1', 'b=1;  Path=/ ;weird'])
  })

  test('lines that held nothing else are gone', async () => {
    const { world } = await setting([{ pattern: '*', do: 'drop' }])
    expect(await cookiesAt(world, '/', { cookie: 'a=1; b=2' })).toBe('')
    expect(world.upstream.lastRequest.all('cookie')).toEqual([])
  })

  test('beside a Flask adapter', async () => {
    const { world } = await setting([{ name: 'csrf', do: 'store' }], { routes: [{ adapter: { kind: 'flask', secretKey: FLASK_SECRET } }] })
    const reply = await answered(world, [sets('csrf=1; Path=/'), setsFlask('{"user":"ann"}')])
    expect(reply.all('set-cookie').map((line) => line.split('=')[0])).toEqual(['sid'])
    expect(await cookiesAt(world)).toMatch(/^session=[\w.-]+; csrf=1$/)
    expect(seenByFlask(world)?.payload).toBe('{"user":"ann"}')
    await answered(world, [setsFlask('{"user":"bob"}')])
    expect(await cookiesAt(world)).toMatch(/^session=[\w.-]+$/)
  })
})
