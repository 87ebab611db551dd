import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { systemClock } from '../../src/clock.ts'
import { counterJourney, walk } from '../support/flask-journey.ts'
import { GatedStore } from '../support/gated-store.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { currentFlask, debianFlask, startLegacyApp } from '../support/legacy-apps.ts'
import { startRedis, type RedisServer } from '../support/servers/redis.ts'
import { startWorld, type World } from '../support/world.ts'
import type { RunningApp } from './adapters/toolchains.ts'

const OPAQUE = /^c1\.[\w-]{43}\.[\w+/]{43}$/
const login = { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'username=ann' }

describe.each([debianFlask, currentFlask])('an unchanged app on $name, its sessions in Redis', (flavour) => {
  let reason: string | undefined
  let redis: RedisServer
  let plain: RunningApp
  let signing: RunningApp

  beforeAll(async () => {
    const prepared = await flavour.prepare()
    if ('missing' in prepared) return void (reason = prepared.missing)
    redis = await startRedis()
    const env = { REDIS_PORT: String(redis.port) }
    plain = await startLegacyApp(prepared.python, 'app_redis.py', env)
    signing = await startLegacyApp(prepared.python, 'app_redis.py', { ...env, LEGACY_SIGNER: '1', LEGACY_PERMANENT: '0' })
  }, 180_000)
  afterAll(async () => {
    for (const one of [plain, signing, redis]) await one?.[Symbol.asyncDispose]()
  })

  async function gateway(app: RunningApp, adapter: object = {}, cookieName = 'session'): Promise<World & { readonly gated: GatedStore }> {
    const gated = new GatedStore(createMemoryStore({ clock: systemClock }))
    const world = await startWorld({
      store: gated,
      upstream: { targets: [`http://127.0.0.1:${app.port}`] },
      session: { cookie: { name: cookieName, secure: false } },
      routes: [{ adapter: { kind: 'flask-session', ...adapter } }],
    })
    onTestFinished(() => world[Symbol.asyncDispose]())
    return Object.assign(world, { gated })
  }
  function direct(app: RunningApp): HttpClient {
    const client = httpClient(`http://127.0.0.1:${app.port}`)
    onTestFinished(() => client.close())
    return client
  }
  const withoutIds = (seen: unknown): string => JSON.stringify(seen, undefined, 1).replace(/\\"sid\\":\\"[^"]*\\"/g, 'sid')

  test.for(['plain', 'signed'] as const)('shows a visitor the same (%s ids)', async (ids, { skip }) => {
    skip(reason !== undefined, reason)
    const app = ids === 'plain' ? plain : signing
    const steps = ids === 'plain' ? counterJourney : counterJourney.filter(({ path }) => !path.startsWith('/put'))
    const world = await gateway(app)
    expect(withoutIds(await walk(world.client, steps, 'session'))).toEqual(withoutIds(await walk(direct(app), steps, 'session')))
    expect(world.log.filter(({ level }) => (level as number) > 40)).toEqual([])
  })

  test('the browser never sees the id', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway(plain)
    const replies = [await world.client.post('/login', login), await world.client.get('/'), await world.client.get('/permanent/0'), await world.client.get('/count')]
    const { sid } = (await world.client.get('/whoami')).json<{ sid: string }>()
    expect(await redis.command('EXISTS', `legacy:${sid}`)).toBe(1)
    expect(JSON.stringify(replies.map(({ headers }) => headers))).not.toContain(sid)
    expect(world.client.jar.all().map(({ name, value }) => [name, OPAQUE.test(value)])).toEqual([['session', true]])
  })

  test('an app that sets its cookie with every answer costs one write, not one each', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client, gated } = await gateway(plain)
    await client.post('/login', login)
    await client.get('/')
    gated.forgetCalls()
    for (let visit = 0; visit < 5; visit++) await client.get('/count')
    expect(gated.count('create', 'replace', 'touch', 'destroy')).toBe(0)
  })

  test.for([['plain', 'session'], ['plain', 'sid'], ['signed', 'session'], ['signed', 'sid']] as const)('a live session is taken over once (%s id, our cookie is called %s)', async ([ids, ourName], { skip }) => {
    skip(reason !== undefined, reason)
    const app = ids === 'plain' ? plain : signing
    const before = direct(app)
    await before.post('/login', login)
    const cookie = `session=${before.jar.get('session')?.value}`
    const world = await gateway(app, ids === 'signed' ? { secretKey: 'legacy-demo-key' } : {}, ourName)

    const first = await world.client.get('/whoami', { headers: { cookie } })
    expect(first.json()).toMatchObject({ session: { username: 'ann' } })
    expect(world.client.jar.all().map(({ name, value }) => [name, OPAQUE.test(value)])).toEqual([[ourName, true]])
    expect(first.all('set-cookie').some((line) => line.startsWith('session=;'))).toBe(ourName !== 'session')
    expect((await world.client.get('/whoami')).json()).toEqual(first.json())

    await world.client.get('/clear')
    expect((await world.newClient().get('/whoami', { headers: { cookie } })).json()).toMatchObject({ session: {} })
  })

  test('an id that nobody signed is not taken over where the app signs; nor is what cannot be an id', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const signed = await gateway(signing, { secretKey: 'legacy-demo-key' })
    const unsigned = await gateway(plain)
    for (const [world, value] of [[signed, 'chosen-by-whoever-attacks'], [signed, 'chosen-by-whoever-attacks.AAAAAAAAAAAAAAAAAAAAAAAAAAA'], [unsigned, 'x'], [unsigned, 'a.b.c']] as const) {
      world.gated.forgetCalls()
      await world.newClient().get('/ping', { headers: { cookie: `session=${value}` } })
      expect(world.gated.count('load')).toBe(0)
      expect(await redis.command('EXISTS', `legacy:${value}`)).toBe(0)
    }
  })

  test('the session of the app ends with ours', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client } = await gateway(plain)
    await client.post('/login', login)
    const stolen = client.jar.get('session')?.value ?? ''
    await client.get('/clear')
    const { sid } = (await client.get('/whoami')).json<{ sid: string }>()
    client.jar.set('session', stolen)
    const thief = (await client.get('/whoami')).json<{ sid: string; session: object }>()
    expect(thief.session).not.toHaveProperty('username')
    expect(thief.sid).not.toBe(sid)
  })
})
