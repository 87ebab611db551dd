import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import type { HttpReply } from '../support/http-client.ts'
import { counterOf } from '../support/metrics.ts'
import { answerTo, dataOf, leaksIn, obey, order, orderOf, type Order } from '../support/obedient-app.ts'
import type { SeenRequest } from '../support/raw-upstream.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { startRedis, type RedisServer } from '../support/servers.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const DEADLINE_MS = 250
const ROUTES = [{}, { path: '/anonymous', onStoreError: 'anonymous' }, { path: '/forward', onStoreError: 'anonymous', onCommitFailure: 'forward' }, { path: '/none', session: 'none' }, { path: '/required', session: 'require', onStoreError: 'anonymous' }]

interface OutageWorld extends World { readonly redis: RedisServer; readonly relay: Relay }

/** A gateway over a redis of its own, behind a relay, with the store as the product opens it. */
async function outageWorld(options: WorldOptions = {}): Promise<OutageWorld> {
  const redis = await startRedis()
  const relay = await startRelay(redis.port)
  const store: SessionStore = guardStore(createRedisStore({ url: `redis://${relay.address}`, timeoutMs: DEADLINE_MS }), { timeoutMs: DEADLINE_MS })
  await waitFor(() => store.ping().then(() => true, () => false), 'redis')
  const world = await startWorld({ routes: ROUTES, ...options, store })
  const closeWorld = world[Symbol.asyncDispose].bind(world)
  world.upstream.respond(obey)
  return Object.assign(world, {
    redis, relay,
    async [Symbol.asyncDispose]() {
      redis.resume()
      await closeWorld()
      await relay[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  })
}

async function timed(request: () => Promise<HttpReply>): Promise<{ readonly reply: HttpReply; readonly ms: number }> {
  const elapsed = startStopwatch()
  const reply = await request()
  return { reply, ms: elapsed() }
}

interface Fault {
  readonly what: string
  begin(world: OutageWorld): Promise<void> | void
  end(world: OutageWorld): Promise<void> | void
}

const FAULTS: Fault[] = [
  { what: 'paused', begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() },
  { what: 'behind a black hole', begin: ({ relay }) => relay.set({ blackHole: true }), end: ({ relay }) => relay.heal() },
  { what: 'refusing connections', begin: ({ relay }) => { relay.refuse(); relay.resetAll() }, end: async ({ relay }) => { await relay.accept() } },
  { what: 'slower than the deadline', begin: ({ relay }) => relay.set({ latencyMs: 400 }), end: ({ relay }) => relay.heal() },
  { what: 'cut in the middle of each reply', begin: ({ relay }) => relay.set({ resetAfterBytes: 3 }, 'down'), end: ({ relay }) => relay.heal() },
]

describe.each(FAULTS)('redis $what', ({ begin, end }) => {
  let world: OutageWorld
  let cookie: string
  beforeAll(async () => {
    world = await outageWorld()
    await order(world.client, { patch: { user: 'ann' } })
    cookie = world.client.jar.get('sid')?.value as string
    await begin(world)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('ST1 ST13 at open: 503 with Retry-After within the deadline, the upstream not asked, the cookie kept', async () => {
    for (let i = 0; i < 8; i++) {
      const { reply, ms } = await timed(() => order(world.client, { patch: { user: 'eve' } }))
      expect([reply.status, reply.header('retry-after'), reply.all('set-cookie'), reply.json<{ code: string }>().code]).toEqual([503, '1', [], 'ERR_STORE_UNAVAILABLE'])
      expect(ms).toBeLessThan(DEADLINE_MS + 100)
    }
    expect(world.upstream.requests.filter(({ target }) => target === '/')).toHaveLength(1)
    expect(world.client.jar.get('sid')?.value).toBe(cookie)
  })

  test('onStoreError: anonymous goes on without a session, keeps no page and creates no second one', async () => {
    const read = await timed(() => order(world.client, { headers: [['Cache-Control', 'public, max-age=60']] }, { path: '/anonymous' }))
    expect([read.reply.status, read.reply.all('set-cookie'), read.reply.header('cache-control'), read.reply.header('vary')]).toEqual([200, [], 'no-store', 'Cookie'])
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
    expect(read.ms).toBeLessThan(DEADLINE_MS + 100)
    for (const send of [{ patch: { user: 'eve' } }, { control: 'destroy' }] as Order[]) {
      const { reply } = await timed(() => order(world.client, send, { path: '/anonymous' }))
      expect([reply.status, reply.header('retry-after'), reply.all('set-cookie'), leaksIn(reply.headers)]).toEqual([503, undefined, [], []])
    }
    const lost = await counterOf(world.metrics, 'sessiongate_mutations_lost_total', { route: '*/forward' })
    const forwarded = await order(world.client, { patch: { user: 'eve' } }, { path: '/forward' })
    expect([forwarded.status, forwarded.all('set-cookie')]).toEqual([200, []])
    expect(await counterOf(world.metrics, 'sessiongate_mutations_lost_total', { route: '*/forward' })).toBe(lost + 1)
  })

  test('require is not fooled: no anonymous visitor, no login page, 503', async () => {
    const { reply } = await timed(() => order(world.client, {}, { path: '/required' }))
    expect([reply.status, reply.header('retry-after')]).toEqual([503, '1'])
  })

  test('visitors without a cookie and routes without a session notice nothing', async () => {
    const fresh = await timed(() => order(world.newClient(), {}))
    const none = await timed(() => order(world.client, { patch: { a: 1 }, headers: [['X-Session-Foo', '1']] }, { path: '/none' }))
    expect([fresh.reply.status, none.reply.status, leaksIn(none.reply.headers)]).toEqual([200, 200, []])
    expect(Math.max(fresh.ms, none.ms)).toBeLessThan(DEADLINE_MS)
  })

  test('ST2 many at once wait no longer than one does, beyond what so many take anyway', async () => {
    const burst = (path: string) => Promise.all(Array.from({ length: 60 }, () => timed(() => order(world.client, {}, { path }))))
    const slowest = (all: Awaited<ReturnType<typeof burst>>): number => Math.max(...all.map(({ ms }) => ms))
    await burst('/none')                                        // connections are made
    const anyway = slowest(await burst('/none'))
    const all = await burst('/')
    expect(all.every(({ reply }) => reply.status === 503)).toBe(true)
    expect(slowest(all)).toBeLessThan(2 * anyway + DEADLINE_MS + 100)
  })

  test('and when it is back the session is there within two seconds, without a restart', async () => {
    await end(world)
    await waitFor(async () => (await order(world.client, {})).status === 200, 'recovery', 2_000)
    expect(world.lastClaims()).toMatchObject({ new: false, data: { user: 'ann' } })
    expect(world.client.jar.get('sid')?.value).toBe(cookie)
    expect((await order(world.client, { patch: { back: true } })).status).toBe(200)
    expect(await dataOf(world)).toEqual({ user: 'ann', back: true })
  })
})

describe('redis lost between open and commit', () => {
  test('MU3 503 without Retry-After and Set-Cookie, within the deadline, also for many of one session at once', async () => {
    await using world = await outageWorld()
    await order(world.client, { patch: { user: 'ann' } })
    let waiting = 0
    let go = (): void => {}
    const paused = new Promise<void>((resolve) => { go = resolve })
    let answeredAt = 0
    world.upstream.respond(async (request) => {
      if (++waiting === 16) {
        world.redis.pause()
        answeredAt = performance.now()
        go()
      }
      await paused
      return obeyed(request)
    })
    const replies = await Promise.all(Array.from({ length: 16 }, async (_, i) => {
      const reply = await order(world.client, { patch: { [`w${i}`]: 1 }, ...(i % 4 === 0 ? { control: 'rotate' } : {}) })
      return { reply, ms: performance.now() - answeredAt }
    }))
    for (const { reply, ms } of replies) {
      expect([reply.status, reply.header('retry-after'), reply.all('set-cookie')]).toEqual([503, undefined, []])
      expect(ms).toBeLessThan(DEADLINE_MS + 100)
    }
    world.redis.resume()
    world.upstream.respond(obey)
    await waitFor(async () => (await order(world.client, {})).status === 200, 'recovery', 2_000)
  })

  test('a write whose answer was lost is unknown, and safe to repeat', async () => {
    await using world = await outageWorld()
    await order(world.client, { patch: { n: 0 } })
    const patch = { n: 1, list: [1, 2] }
    world.upstream.respond((request) => { world.relay.set({ blackHole: true }, 'down'); return obeyed(request) })
    expect((await order(world.client, { patch })).status).toBe(503)
    world.upstream.respond(obey)
    world.relay.heal()
    await waitFor(async () => (await order(world.client, { patch })).status === 200, 'recovery', 2_000)
    expect(await dataOf(world)).toEqual(patch)
  })
})

const obeyed = (request: SeenRequest): Buffer => answerTo(orderOf(request), request.method)

test('ST3 redis back empty: old cookies are strangers, new sessions are made, nothing loops', async () => {
  await using world = await outageWorld()
  await order(world.client, { patch: { user: 'ann' } })
  const old = world.client.jar.get('sid')?.value
  await world.redis.kill()
  expect((await order(world.client, {})).status).toBe(503)
  await world.redis.restart()
  await waitFor(async () => (await order(world.client, {})).status === 200, 'recovery', 2_000)
  expect(world.lastClaims()).toMatchObject({ new: true })
  expect((await order(world.client, { patch: { user: 'bob' } })).status).toBe(200)
  expect(world.client.jar.get('sid')?.value).not.toBe(old)
})

test('ST6 SCRIPT FLUSH is nobody\'s business', async () => {
  await using world = await outageWorld()
  for (let i = 0; i < 20; i++) {
    if (i % 3 === 0) await world.redis.command('SCRIPT', 'FLUSH')
    expect((await order(world.client, { patch: { i } })).status).toBe(200)
  }
  expect(await dataOf(world)).toEqual({ i: 19 })
})

/** The key of the one session in the store. */
async function recordKey({ redis }: OutageWorld): Promise<string> {
  const keys = (await redis.command('KEYS', 'session:*') as string[]).filter((key) => key !== 'session:ping')
  expect(keys).toHaveLength(1)
  return keys[0] as string
}

describe('ST7 a record that cannot be read', () => {
  const spoil: [what: string, spoil: (value: Buffer) => string | Buffer][] = [
    ['cut short', (value) => value.subarray(0, value.length - 5)], ['not JSON', (value) => Buffer.concat([value.subarray(0, 33), Buffer.from('\x01{{{')])],
    ['a newer version', (value) => Buffer.concat([value.subarray(0, 33), Buffer.from('\x09{}')])], ['JSON of another shape', (value) => Buffer.concat([value.subarray(0, 33), Buffer.from('\x01null')])],
    ['empty', (value) => value.subarray(0, 33)], ['another program\'s', () => 'hello'],
  ]
  test.each(spoil)('%s: 503 or anonymous by the route\'s word, never 500, the cookie and the bytes kept', async (_what, change) => {
    await using world = await outageWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const cookie = world.client.jar.get('sid')?.value
    const key = await recordKey(world)
    const direct = new Redis(world.redis.port, '127.0.0.1')
    const spoiled = Buffer.from(change(await direct.getBuffer(key) as Buffer) as Buffer)
    await direct.set(key, spoiled)

    const failed = await order(world.client, {})
    expect([failed.status, failed.all('set-cookie')]).toEqual([503, []])
    const anonymous = await order(world.client, {}, { path: '/anonymous' })
    expect([anonymous.status, anonymous.all('set-cookie')]).toEqual([200, []])
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
    expect(world.client.jar.get('sid')?.value).toBe(cookie)
    expect(await direct.getBuffer(key)).toEqual(spoiled)
    direct.disconnect()
    expect(world.log.filter((line) => line['msg'] === 'a bug: unexpected error')).toEqual([])
  })

  test('a key of another type: the same', async () => {
    await using world = await outageWorld()
    await order(world.client, { patch: { user: 'ann' } })
    const key = await recordKey(world)
    await world.redis.command('DEL', key)
    await world.redis.command('RPUSH', key, 'x')
    expect((await order(world.client, {})).status).toBe(503)
    expect((await order(world.client, {}, { path: '/anonymous' })).status).toBe(200)
  })
})

test('ST4 redis full: changes are refused as unavailable, reads are served', async () => {
  await using world = await outageWorld()
  await order(world.client, { patch: { user: 'ann' } })
  await world.redis.command('CONFIG', 'SET', 'maxmemory', '1')
  const reply = await order(world.client, { patch: { user: 'eve' } })
  expect([reply.status, reply.all('set-cookie')]).toEqual([503, []])
  expect(await dataOf(world)).toEqual({ user: 'ann' })
  await world.redis.command('CONFIG', 'SET', 'maxmemory', '0')
  expect((await order(world.client, { patch: { user: 'bob' } })).status).toBe(200)
})

test('ST5 a replica that takes no writes: 503, and writes again when it is a master', async () => {
  await using world = await outageWorld()
  await order(world.client, { patch: { user: 'ann' } })
  await world.redis.command('REPLICAOF', '127.0.0.1', '1')
  expect((await order(world.client, { patch: { user: 'eve' } })).status).toBe(503)
  await world.redis.command('REPLICAOF', 'NO', 'ONE')
  await waitFor(async () => (await order(world.client, { patch: { user: 'bob' } })).status === 200, 'recovery', 2_000)
  expect(await dataOf(world)).toEqual({ user: 'bob' })
})
