import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createSharedRedisStore } from '../../src/stores/redis-shared.ts'
import { runCliBatch } from '../support/cli.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { startRedis, type RedisServer } from '../support/servers/redis.ts'
import { startWorld, type World } from '../support/world.ts'
import { missing, PYTHON, PYTHON_CURRENT, startProgram, type RunningApp } from './adapters/toolchains.ts'

const APP = join(import.meta.dirname, 'flask-session/shared_app.py')
const SECRET = 'the key of the app'
const TWO_HOURS_MS = 7_200_000

let redis: RedisServer
beforeAll(async () => { redis = await startRedis() })
afterAll(() => redis[Symbol.asyncDispose]())

interface Format {
  readonly serializer: 'msgpack' | 'json'
  readonly isSigned: boolean
  readonly keyPrefix: string
}

/** A gateway that shares the app's sessions; its own upstream answers with the patch or the directive in the query. */
async function gateway({ serializer, isSigned, keyPrefix }: Format, route: Record<string, unknown> = {}, more: { session?: object; upstream?: Record<string, unknown> } = {}): Promise<World> {
  const store = createSharedRedisStore({ url: redis.url, keyPrefix, lifetimeMs: TWO_HOURS_MS, timeoutMs: 5_000, clock: systemClock })
  await store.ping()
  const world = await startWorld({
    store,
    session: { cookie: { name: 'session', secure: false }, ...more.session },
    routes: [route],
    ...(more.upstream && { upstream: more.upstream }),
    config: { store: { kind: 'redis', keyPrefix, recordFormat: { kind: 'flask-session', serializer, permanentLifetime: '2h', ...(isSigned ? { secretKey: SECRET } : {}) } } },
  })
  world.upstream.respond(({ target }) => {
    const query = new URLSearchParams(target.split('?')[1] ?? '')
    const headers: [string, string][] = []
    for (const [field, name] of [['X-Session-Patch', 'patch'], ['X-Session-Control', 'control']] as const) {
      const value = query.get(name)
      if (value !== null) headers.push([field, value])
    }
    return rawResponse({ headers, body: 'behind' })
  })
  onTestFinished(() => world[Symbol.asyncDispose]())
  return world
}

const ascii = (patch: object): string => JSON.stringify(patch).replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
const patching = (patch: object, control?: string): string => `/?patch=${encodeURIComponent(ascii(patch))}${control ? `&control=${control}` : ''}`
const setting = (values: object): string => `/set?values=${encodeURIComponent(JSON.stringify(values))}`

const formats: readonly (Format & { readonly what: string })[] = [
  { what: 'msgpack, plain ids', serializer: 'msgpack', isSigned: false, keyPrefix: 'session:' },
  { what: 'json, signed ids', serializer: 'json', isSigned: true, keyPrefix: 'app-' },
]

describe.each(formats)('a Redis shared with Flask-Session 0.8: $what', (format) => {
  let reason: string | undefined
  let app: RunningApp
  beforeAll(async () => {
    reason = await missing({ name: 'Flask-Session 0.8', probe: [PYTHON_CURRENT, '-c', 'import flask_session, redis, msgspec'], install: 'npm test, which brings it by pip' })
    if (reason !== undefined) return
    const settings = { SESSION_SERIALIZATION_FORMAT: format.serializer, SESSION_USE_SIGNER: format.isSigned, SESSION_KEY_PREFIX: format.keyPrefix }
    app = await startProgram([PYTHON_CURRENT, APP], { REDIS_PORT: String(redis.port), SETTINGS: JSON.stringify(settings) }, '/ping')
  }, 60_000)
  afterAll(() => app?.[Symbol.asyncDispose]())

  /** A visitor of both: the same browser, the same host, so the same cookies. */
  async function visitor(route?: Record<string, unknown>, more?: Parameters<typeof gateway>[2]) {
    const world = await gateway(format, route, more)
    const alone = httpClient(`http://127.0.0.1:${app.port}`)
    onTestFinished(() => alone.close())
    const behind = world.client
    const cookieOf = (client: HttpClient): string | undefined => client.jar.get('session')?.value
    return {
      world, alone, behind, cookieOf,
      /** Gives the one client the cookie of the other. */
      carry(from: HttpClient, to: HttpClient) {
        const cookie = cookieOf(from)
        if (cookie === undefined) to.jar.clear()
        else to.jar.set('session', cookie)
      },
    }
  }
  const sidOf = (cookie: string | undefined): string => format.isSigned ? (cookie ?? '').slice(0, (cookie ?? '').lastIndexOf('.')) : cookie ?? ''
  const keyOf = (cookie: string | undefined): string => format.keyPrefix + sidOf(cookie)
  const ttlOf = async (cookie: string | undefined): Promise<number> => await redis.command('PTTL', keyOf(cookie)) as number

  test('what the app alone begins, the upstream behind the gateway sees', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor()
    await alone.get(setting({ user: 'Zoé', cart: [1, 2.5, { big: true }], none: null }))
    carry(alone, behind)
    const reply = await behind.get('/')
    expect(world.lastClaims()).toMatchObject({ new: false, permanent: true, data: { user: 'Zoé', cart: [1, 2.5, { big: true }], none: null } })
    expect(JSON.stringify(world.lastClaims()['sid'])).not.toContain(sidOf(cookieOf(alone)))
    expect(reply.all('set-cookie')).toEqual([])
  })

  test('what is changed behind the gateway, the app alone sees, under the same id and with its own lifetime', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { alone, behind, carry, cookieOf } = await visitor()
    await alone.get(setting({ user: 'ann', cart: [1] }))
    carry(alone, behind)
    await redis.command('PEXPIRE', keyOf(cookieOf(alone)), '3600000')
    await behind.get(patching({ cart: null, seen: { pages: 7, ratio: 1.5, text: 'ü' } }))
    expect(cookieOf(behind)).toBe(cookieOf(alone))
    expect(Math.abs(await ttlOf(cookieOf(alone)) - TWO_HOURS_MS)).toBeLessThan(60_000)
    expect((await alone.get('/session')).json()).toEqual({ user: 'ann', seen: { pages: 7, ratio: 1.5, text: 'ü' } })
  })

  test('what begins behind the gateway, the app alone opens by the same cookie', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { alone, behind, carry, cookieOf } = await visitor()
    await behind.get(patching({ user: 'bob' }))
    carry(behind, alone)
    expect((await alone.get('/session')).json()).toEqual({ user: 'bob' })
    await alone.get(setting({ more: 1 }))
    expect(cookieOf(alone)).toBe(cookieOf(behind))
  })

  test('a login behind the gateway changes the id, and the old one opens nothing on either side', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor(undefined, { session: { rotateOn: ['user'] } })
    await alone.get(setting({ cart: [1] }))
    carry(alone, behind)
    const before = cookieOf(alone) as string
    await behind.get(patching({ user: 'ann' }))
    expect(cookieOf(behind)).not.toBe(before)
    expect(await redis.command('EXISTS', keyOf(before))).toBe(0)
    await world.newClient().get('/', { headers: { cookie: `session=${before}` } })
    expect(world.lastClaims()['new']).toBe(true)
    expect((await alone.get('/session')).json()).toEqual({})
    carry(behind, alone)
    expect((await alone.get('/session')).json()).toEqual({ cart: [1], user: 'ann' })
  })

  test('a logout behind the gateway is one at the app, and stays one here though a late request of the app writes the session again', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor()
    await alone.get(setting({ user: 'ann' }))
    const cookie = cookieOf(alone) as string
    carry(alone, behind)
    const signal = httpClient(`http://127.0.0.1:${app.port}`)
    onTestFinished(() => signal.close())
    const late = alone.get('/slow')
    expect((await signal.get('/begun')).body).toBe('True')
    await behind.get('/?control=destroy')
    expect(cookieOf(behind)).toBeUndefined()
    expect(await redis.command('EXISTS', keyOf(cookie))).toBe(0)
    const elsewhere = httpClient(`http://127.0.0.1:${app.port}`)
    onTestFinished(() => elsewhere.close())
    elsewhere.jar.set('session', cookie)
    expect((await elsewhere.get('/session')).json()).toEqual({})
    await signal.get('/go')
    await late
    expect(await redis.command('EXISTS', keyOf(cookie))).toBe(1)               // the app compares nothing
    await world.newClient().get('/', { headers: { cookie: `session=${cookie}` } })
    expect(world.lastClaims()['new']).toBe(true)
  })

  test('a logout at the app is one behind the gateway, also for a request that is under way', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor()
    await alone.get(setting({ user: 'ann' }))
    const cookie = cookieOf(alone)
    carry(alone, behind)
    world.upstream.respondOnce(async () => {
      await alone.get('/logout')
      return rawResponse({ headers: [['X-Session-Patch', '{"late":true}']], body: 'behind' })
    })
    await behind.get('/')
    expect(await redis.command('EXISTS', keyOf(cookie))).toBe(0)
    await behind.get('/')
    expect(world.lastClaims()['new']).toBe(true)
  })

  test('of parallel writers behind two gateways nothing is lost, nor what the app had written before', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const one = await visitor()
    const two = await gateway(format)
    await one.alone.get(setting({ user: 'ann' }))
    const cookie = `session=${one.cookieOf(one.alone)}`
    await Promise.all(Array.from({ length: 24 }, (_, writer) => (writer % 2 ? one.world : two).newClient().get(patching({ [`w${writer}`]: writer }), { headers: { cookie } })))
    const kept = (await one.alone.get('/session')).json<Record<string, unknown>>()
    expect(kept).toEqual({ user: 'ann', ...Object.fromEntries(Array.from({ length: 24 }, (_, writer) => [`w${writer}`, writer])) })
  })

  test('what the app writes while a request is under way behind the gateway stays; what the gateway writes under a request of the app does not', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry } = await visitor()
    await alone.get(setting({ user: 'ann', cart: [1] }))
    carry(alone, behind)
    world.upstream.respondOnce(async () => {
      await alone.get(setting({ cart: [1, 2] }))
      return rawResponse({ headers: [['X-Session-Patch', '{"seen":true}']], body: 'behind' })
    })
    await behind.get('/')
    expect((await alone.get('/session')).json()).toEqual({ user: 'ann', cart: [1, 2], seen: true })

    using signal = httpClient(`http://127.0.0.1:${app.port}`)
    const late = alone.get('/slow')
    await signal.get('/begun')
    await behind.get(patching({ lost: true }))
    await signal.get('/go')
    await late
    expect((await alone.get('/session')).json()).toEqual({ user: 'ann', cart: [1, 2], seen: true, slow: true })     // docs/stores.md says so
  })

  test('a change with if-version counts once, though two of them would store the same', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor()
    const other = await gateway(format)
    await alone.get(setting({ n: 1 }))
    carry(alone, behind)
    await behind.get('/')
    const target = patching({ n: 2 }, `if-version=${world.lastClaims()['ver'] as string}`)
    const cookie = `session=${cookieOf(alone)}`
    const replies = await Promise.all([world, other].map((gate) => gate.newClient().get(target, { headers: { cookie } })))
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 502])
  })

  test('the app behind the gateway as well: it opens its own session, and a route can ask for a login', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, behind, carry, cookieOf } = await visitor({ adapter: { kind: 'flask-session' } }, { upstream: { targets: [`http://127.0.0.1:${app.port}`] } })
    await behind.get(setting({ user: 'ann' }))
    expect((await behind.get('/session')).json()).toEqual({ user: 'ann' })
    carry(behind, alone)
    expect((await alone.get('/session')).json()).toEqual({ user: 'ann' })
    const { sessions } = await world.gateway.inventory.list(undefined, 1_000)
    expect(sessions.length).toBeGreaterThan(0)
    await behind.get('/logout')
    expect(cookieOf(behind)).toBeUndefined()
    expect((await behind.get('/session')).json()).toEqual({})
    const guarded = await gateway(format, { adapter: { kind: 'flask-session' }, session: 'require', requireValue: { path: 'role', equals: 'staff' } }, { upstream: { targets: [`http://127.0.0.1:${app.port}`] } })
    const guest = guarded.newClient()
    expect((await guest.get('/session')).status).toBe(401)
    await alone.get(setting({ role: 'staff' }))
    guest.jar.set('session', cookieOf(alone) as string)
    expect((await guest.get('/session')).json()).toMatchObject({ role: 'staff' })
  })

  test('an operator sees the sessions of the app and ends them', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world, alone, carry, behind } = await visitor(undefined, { session: { subject: 'user' } })
    await alone.get(setting({ user: 'the operator looks for' }))
    carry(alone, behind)
    await behind.get('/')
    const [found] = await world.gateway.inventory.listOf('the operator looks for')
    expect(found?.handle).toBe(world.lastClaims()['sid'])
    expect(await world.gateway.inventory.revoke(found?.handle ?? '')).toBe(true)
    expect((await alone.get('/session')).json()).toEqual({})
  })

  test('an id that nobody gave opens nothing and becomes nothing', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { world } = await visitor()
    for (const value of ['chosen-by-whoever-attacks', 'chosen-by-whoever-attacks.AAAAAAAAAAAAAAAAAAAAAAAAAAA', 'a', 'a*b', '']) {
      const client = world.newClient()
      const reply = await client.get(patching({ user: 'ann' }), { headers: { cookie: `session=${value}` } })
      expect(world.lastClaims()['new']).toBe(true)
      expect(reply.header('set-cookie') ?? '').not.toContain('chosen')
    }
    expect(await redis.command('EXISTS', `${format.keyPrefix}chosen-by-whoever-attacks`)).toBe(0)
  })

  test('what Flask-Session could not store is refused, and the session stays as it was', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { alone, behind, carry } = await visitor()
    await alone.get(setting({ user: 'ann' }))
    carry(alone, behind)
    expect((await behind.get(patching({ user: 'eve' }, 'idle=60'))).status).toBe(502)
    expect((await alone.get('/session')).json()).toEqual({ user: 'ann' })
  })
})

test('from the configuration alone, with workers; the commands say what it is', { timeout: 30_000 }, async ({ skip }) => {
  const reason = await missing({ name: 'Flask-Session 0.8', probe: [PYTHON_CURRENT, '-c', 'import flask_session, redis, msgspec'], install: 'npm test, which brings it by pip' })
  skip(reason !== undefined, reason)
  await using app = await startProgram([PYTHON_CURRENT, APP], { REDIS_PORT: String(redis.port), SETTINGS: JSON.stringify({ SESSION_KEY_PREFIX: 'conf:' }) }, '/ping')
  await using upstream = await startRawUpstream()
  await using gate = await startGatewayProcess({ upstream: upstream.url, config: {
    store: { kind: 'redis', url: redis.url, keyPrefix: 'conf:', recordFormat: { kind: 'flask-session', permanentLifetime: '2h' } },
    session: { cookie: { name: 'session' }, subject: 'user' }, workers: 2,
  } })
  using alone = httpClient(`http://127.0.0.1:${app.port}`)
  await alone.get(setting({ user: 'ann' }))
  using behind = httpClient(gate.url)
  behind.jar.set('session', alone.jar.get('session')?.value as string)
  upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"cart":[1]}']], body: 'behind' }))
  expect((await behind.get('/')).status).toBe(200)
  expect((await alone.get('/session')).json()).toEqual({ user: 'ann', cart: [1] })
  using operator = httpClient(gate.adminUrl)
  expect((await operator.get('/sessions')).json()).toMatchObject({ sessions: [{ subject: 'ann', created: '1970-01-01T00:00:00.000Z' }] })
  expect((await operator.delete('/sessions?subject=ann')).json()).toEqual({ revoked: 1 })
  expect((await alone.get('/session')).json()).toEqual({})
  const [check, migrate] = await runCliBatch([['check', '-c', gate.configFile], ['migrate', '-c', gate.configFile, '--from', 'flask-session', '--source', redis.url]], { cwd: gate.directory })
  expect(check?.stdout).toMatch(/redis at redis:.*, shared with a flask-session app/)
  expect(check?.stdout).toMatch(/lifetime +the app's: 2h after the last use/)
  expect(check?.stdout).toMatch(/Warnings[^]*store.recordFormat/)
  expect(migrate).toMatchObject({ code: 1, stderr: expect.stringMatching(/shared with the app/) })
})

test('what Flask-Session 0.3 has pickled is read and ended, never overwritten with what that app could not read', async ({ skip }) => {
  const reason = await missing({ name: 'Flask-Session 0.3', probe: [PYTHON, '-c', 'import flask_session, redis'], install: 'apt-get install -y python3-flask-session python3-redis' })
  skip(reason !== undefined, reason)
  await using app = await startProgram([PYTHON, APP], { REDIS_PORT: String(redis.port), SETTINGS: JSON.stringify({ SESSION_KEY_PREFIX: 'old:' }) }, '/ping')
  const world = await gateway({ serializer: 'msgpack', isSigned: false, keyPrefix: 'old:' })
  using alone = httpClient(`http://127.0.0.1:${app.port}`)
  await alone.get(setting({ user: 'ann' }))
  world.client.jar.set('session', alone.jar.get('session')?.value as string)
  await world.client.get('/')
  expect(world.lastClaims()).toMatchObject({ new: false, data: { user: 'ann' } })
  for (const change of [patching({ a: 1 }), patching({ a: 1 }, 'rotate')]) expect((await world.client.get(change)).status).toBe(503)
  expect(world.log.map(({ err }) => JSON.stringify(err) ?? '').join()).toContain('pickle')
  expect((await alone.get('/session')).json()).toEqual({ user: 'ann' })
  await world.client.get('/?control=destroy')
  expect((await alone.get('/session')).json()).toEqual({})
})
