import { describe, expect, onTestFinished, test } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { deletesFlask, FLASK_SECRET, flaskCookie, seenByFlask, setsFlask } from '../support/flask-peer.ts'
import { GatedStore } from '../support/gated-store.ts'
import { movingClock, type MovingClock } from '../support/moving-clock.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const OLD = '{"username":"ann"}'
const DAY = 86_400_000
const adapter = { kind: 'flask', secretKey: FLASK_SECRET }

interface Setting { readonly world: World; readonly store: GatedStore; readonly clock: MovingClock; readonly cookie: string }

async function setting(options: WorldOptions = {}, more: object = {}): Promise<Setting> {
  const clock = movingClock()
  const store = new GatedStore(createMemoryStore({ clock }))
  const world = await startWorld({ clock, store, routes: [{ adapter: { ...adapter, ...more } }], session: { cookie: { name: 'sid', secure: false }, rotateOn: ['username'], idle: '90d', absolute: '90d' }, ...options })
  onTestFinished(() => world[Symbol.asyncDispose]())
  return { world, store, clock, cookie: `session=${flaskCookie(OLD, clock())}` }
}

const namesSet = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/=.*?;/, ';').replace(/;.*(Max-Age=0).*/, ' deleted').replace(/;.*/, ''))

describe('the session a visitor still has with the app itself', () => {
  test('becomes ours on first sight, and leaves the browser', async () => {
    const { world, store, cookie } = await setting()
    const reply = await world.client.get('/', { headers: { cookie } })
    expect(seenByFlask(world)?.payload).toBe(OLD)
    expect(namesSet(reply.all('set-cookie'))).toEqual(['session deleted', 'sid'])
    expect(reply.header('cache-control')).toBe('no-store')

    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe(OLD)
    expect(world.lastClaims()).toMatchObject({ data: { username: 'ann' }, new: false })
    expect(store.count('create')).toBe(2)
  })

  test('takes the change of the very first answer along', async () => {
    const { world, cookie } = await setting()
    world.upstream.respondOnce(rawResponse({ headers: [setsFlask('{"hits":1,"username":"ann"}')], body: 'ok' }))
    await world.client.get('/', { headers: { cookie } })
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"hits":1,"username":"ann"}')
  })

  test('is one session for all the requests of a first page', async () => {
    const { world, store, cookie } = await setting()
    const gate = store.hold('create')
    const first = world.client.get('/', { headers: { cookie } })
    await gate.reached
    const others = [1, 2, 3].map(() => world.newClient().get('/', { headers: { cookie } }))
    await Promise.all(others)
    gate.open()
    const replies = await Promise.all([first, ...others])
    expect(new Set(replies.map((reply) => reply.all('set-cookie').at(-1)?.split(';')[0])).size).toBe(1)
    // One session and the pointer to it; whoever was late has taken its own away.
    const records = await Promise.all([...new Set(store.createdKeys)].map((key) => store.inner.load(key)))
    expect([records.length, records.filter((record) => record !== undefined).length]).toEqual([3, 2])
  })

  test('outlives the browser when the app had said so', async () => {
    const { world } = await setting()
    await world.client.get('/', { headers: { cookie: `session=${flaskCookie('{"_permanent":true,"username":"ann"}')}` } })
    world.client.jar.closeBrowser()
    await world.client.get('/')
    expect(seenByFlask(world)?.payload).toBe('{"_permanent":true,"username":"ann"}')
  })

  test('is found again by a lost answer, for an hour', async () => {
    const { world, clock, cookie } = await setting()
    await world.newClient().get('/', { headers: { cookie } })
    clock.forward(59 * 60_000)
    await world.client.get('/', { headers: { cookie } })
    expect(seenByFlask(world)?.payload).toBe(OLD)
    expect(world.client.jar.get('sid')).toBeDefined()

    clock.forward(2 * 60_000)
    const late = world.newClient()
    await late.get('/', { headers: { cookie } })
    expect(seenByFlask(world)).toBeUndefined()
    expect(late.jar.get('sid')).toBeUndefined()
  })

  test.each([
    ['a logout', deletesFlask],
    ['a new id', ['X-Session-Control', 'rotate'] as const],
    ['a login as somebody else', setsFlask('{"username":"bob"}')],
  ])('is gone for good after %s', async (_what, field) => {
    const { world, clock, cookie } = await setting()
    await world.client.get('/', { headers: { cookie } })
    world.upstream.respondOnce(rawResponse({ headers: [field], body: 'ok' }))
    await world.client.get('/')
    for (const wait of [0, DAY, 20 * DAY]) {
      clock.forward(wait)
      const thief = world.newClient()
      await thief.get('/', { headers: { cookie } })
      expect(seenByFlask(world)).toBeUndefined()
      expect(thief.jar.get('sid')).toBeUndefined()
    }
  })

  test('is not taken over when the app would not accept it any more', async () => {
    const { world, clock, cookie } = await setting()
    clock.forward(32 * DAY)
    const reply = await world.client.get('/', { headers: { cookie } })
    expect(seenByFlask(world)).toBeUndefined()
    expect(namesSet(reply.all('set-cookie'))).toEqual(['session deleted'])
  })

  test('is left alone where the operator says so, and still never reaches the app', async () => {
    const { world, store, cookie } = await setting({}, { adopt: false })
    const reply = await world.client.get('/', { headers: { cookie: `theme=dark; ${cookie}; lang=de` } })
    expect(world.upstream.lastRequest.all('cookie')).toEqual(['theme=dark; lang=de'])
    expect(namesSet(reply.all('set-cookie'))).toEqual(['session deleted'])
    expect(store.calls).toEqual([])
  })

  test('does not mix with a session of ours', async () => {
    const { world, cookie } = await setting()
    world.upstream.respondOnce(rawResponse({ headers: [setsFlask('{"cart":[1]}')], body: 'ok' }))
    await world.client.get('/')
    const reply = await world.client.get('/', { headers: { cookie: `${cookie}; sid=${world.client.jar.get('sid')?.value}` } })
    expect(seenByFlask(world)?.payload).toBe('{"cart":[1]}')
    expect(namesSet(reply.all('set-cookie'))).toEqual(['session deleted'])
  })

  test('is taken over for a route that only reads, and for one that requires a session', async () => {
    for (const session of ['read', 'require']) {
      const { world, cookie } = await setting({ routes: [{ session, adapter }] })
      expect((await world.client.get('/', { headers: { cookie } })).status).toBe(200)
      expect(seenByFlask(world)?.payload).toBe(OLD)
      expect(world.client.jar.get('sid')).toBeDefined()
    }
  })
})

describe('deleting the old cookie', () => {
  test.each([
    ['another name', { name: 'sid' }, {}, 'session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly'],
    ['another path and domain', { name: 'sid' }, { cookiePath: '/shop', cookieDomain: '.example.com' }, 'session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Domain=.example.com; Path=/shop; HttpOnly'],
    ['our name, another path', { name: 'session' }, { cookiePath: '/shop' }, 'session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/shop; HttpOnly'],
    ['our name, our path', { name: 'session' }, {}, undefined],
  ])('%s', async (_what, own, more, expected) => {
    const { world, cookie } = await setting({ session: { cookie: { ...own, secure: false } } }, more)
    const reply = await world.client.get('/', { headers: { cookie } })
    const lines = reply.all('set-cookie')
    expect(lines.filter((line) => line.includes('Max-Age=0'))).toEqual(expected === undefined ? [] : [expected])
    expect(lines.at(-1)).toMatch(/^(sid|session)=c1\./)

    world.client.jar.clear()
    world.client.jar.set(own.name, /=([^;]*)/.exec(lines.at(-1) ?? '')?.[1] ?? '')
    expect((await world.client.get('/')).all('set-cookie')).toEqual([])
    expect(seenByFlask(world)?.payload).toBe(OLD)
  })

  test.each(['fail', 'anonymous'])('never happens while the store is away (onStoreError: %s)', async (onStoreError) => {
    const { world, store, cookie } = await setting({ routes: [{ adapter, onStoreError }] })
    store.fail('load', new StoreUnavailableError('memory', 'load', new Error('away')))
    const reply = await world.client.get('/', { headers: { cookie } })
    expect(reply.status).toBe(onStoreError === 'fail' ? 503 : 200)
    expect(reply.all('set-cookie')).toEqual([])

    await world.client.get('/', { headers: { cookie } })
    expect(seenByFlask(world)?.payload).toBe(OLD)
  })
})
