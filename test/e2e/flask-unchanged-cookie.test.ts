import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createItsdangerousSigner } from '../../src/adapters/flask/itsdangerous.ts'
import { FLASK_COOKIE_SALT } from '../../src/adapters/flask/session-cookie.ts'
import { counterJourney, studentsJourney, walk } from '../support/flask-journey.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { currentFlask, debianFlask, startLegacyApp } from '../support/legacy-apps.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'
import type { RunningApp } from './adapters/toolchains.ts'

const SECRET = 'legacy-demo-key'
/** Key id, 256 random bits, signature: nothing of the session. */
const OPAQUE = /^c1\.[\w-]{43}\.[\w+/]{43}$/
const signer = createItsdangerousSigner({ secrets: [SECRET], salt: FLASK_COOKIE_SALT })
const now = (): number => Math.floor(Date.now() / 1_000)
const signed = (json: string, at = now()): string => signer.signAt(Buffer.from(json).toString('base64url'), at)

describe.each([debianFlask, currentFlask])('an unchanged app on $name', (flavour) => {
  let reason: string | undefined
  let app: RunningApp
  let students: RunningApp

  beforeAll(async () => {
    const prepared = await flavour.prepare()
    if ('missing' in prepared) return void (reason = prepared.missing)
    app = await startLegacyApp(prepared.python, 'app_cookie.py')
    students = await startLegacyApp(prepared.python, 'app_students.py')
  }, 180_000)
  afterAll(async () => {
    await app?.[Symbol.asyncDispose]()
    await students?.[Symbol.asyncDispose]()
  })

  /** The gateway in front of the counter. Its cookie is called as the app's is, as it is on every first try. */
  async function gateway(options: WorldOptions = {}, adapter: object = {}): Promise<World> {
    const world = await startWorld({
      upstream: { targets: [`http://127.0.0.1:${app.port}`] },
      session: { cookie: { name: 'session', secure: false }, rotateOn: ['username'] },
      routes: [{ adapter: { kind: 'flask', secretKey: SECRET, ...adapter } }],
      ...options,
    })
    onTestFinished(() => world[Symbol.asyncDispose]())
    return world
  }
  function direct(port = app.port): HttpClient {
    const client = httpClient(`http://127.0.0.1:${port}`)
    onTestFinished(() => client.close())
    return client
  }

  test('shows a visitor the same', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    expect(await walk(world.client, counterJourney, 'session')).toEqual(await walk(direct(), counterJourney, 'session'))
    expect(world.log.filter(({ level }) => (level as number) > 40)).toEqual([])
  })

  test('the student list shows a visitor the same', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway({
      upstream: { targets: [`http://127.0.0.1:${students.port}`] }, routes: [{ adapter: { kind: 'flask', secretKey: 'students-demo-key' } }],
      session: { cookie: { name: 'session', secure: false }, rotateOn: ['user'] },
    })
    expect(await walk(world.client, studentsJourney, 'session')).toEqual(await walk(direct(students.port), studentsJourney, 'session'))
  })

  test('the browser holds an opaque cookie, and none of the session', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    const plain = direct()
    for (const client of [world.client, plain]) {
      await client.get('/ping')
      expect(client.jar.all()).toEqual([])
      await client.get('/put?k=secret&v="of the session"')
    }
    expect(Buffer.from(plain.jar.get('session')?.value.split('.')[0] ?? '', 'base64url').toString()).toBe('{"secret":"of the session"}')
    expect(world.client.jar.get('session')).toMatchObject({ value: expect.stringMatching(OPAQUE) as string, attributes: { httponly: '', samesite: 'Lax' } })
  })

  test('the cookie outlives the browser when the app says so', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client } = await gateway()
    await client.get('/count')
    expect(client.jar.get('session')?.expiresAt).toBeUndefined()
    await client.get('/permanent/1')
    expect(client.jar.get('session')?.expiresAt).toBeGreaterThan(Date.now())
    client.jar.closeBrowser()
    expect((await client.get('/count')).body).toBe('2')
    await client.get('/permanent/0')
    expect(client.jar.get('session')?.expiresAt).toBeUndefined()
    client.jar.closeBrowser()
    expect((await client.get('/count')).body).toBe('1')
  })

  test('three parallel writers keep all keys', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const write = async (client: HttpClient): Promise<string[]> => {
      await client.get('/count')
      await Promise.all(['a', 'b', 'c'].map((key) => client.get(`/slow?k=${key}&s=0.2`)))
      return Object.keys((await client.get('/whoami')).json<{ session: object }>().session)
    }
    expect((await write(direct())).length).toBe(2)
    expect(await write((await gateway()).client)).toEqual(['a', 'b', 'c', 'hits'])
  })

  test('a logged-out session stays logged out, whoever has copied the cookie', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    for (const [client, after] of [[direct(), { username: 'ann' }], [world.client, {}]] as const) {
      await client.post('/login', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'username=ann' })
      await client.get('/')
      const stolen = client.jar.get('session')?.value ?? ''
      await client.get('/clear')
      expect(client.jar.all()).toEqual([])
      client.jar.set('session', stolen)
      expect((await client.get('/whoami')).json()).toMatchObject({ session: after })
    }
  })

  test('what a slow request writes after the logout is dropped', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    await world.client.get('/put?k=user&v="ann"')
    const cookie = `session=${world.client.jar.get('session')?.value}`
    const slow = world.newClient().get('/slow?k=late&s=0.4', { headers: { cookie } })
    await opened(world, 1)
    await world.client.get('/clear')
    const late = await slow
    expect(late.status).toBe(200)
    expect(late.all('set-cookie')).toEqual([])
    expect((await world.newClient().get('/whoami', { headers: { cookie } })).json()).toMatchObject({ session: {} })
  })

  test('a bad first cookie does not hide a good second', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    const cookie = `session=garbage.of.old; session=${signed('{"username":"ann"}')}`
    expect((await direct().get('/whoami', { headers: { cookie } })).json()).toMatchObject({ session: {} })
    expect((await world.newClient().get('/whoami', { headers: { cookie } })).json()).toMatchObject({ session: { username: 'ann' } })

    await world.client.get('/count')
    const own = `session=garbage.of.old; session=${world.client.jar.get('session')?.value}`
    expect((await world.newClient().get('/whoami', { headers: { cookie: own } })).json()).toMatchObject({ session: { hits: 1 } })
  })

  test.for(['not json', '[1]', '{"a":', '7'])('a signed payload of %s is no error', async (payload, { skip }) => {
    skip(reason !== undefined, reason)
    const cookie = `session=${signed(payload)}`
    expect((await direct().get('/whoami', { headers: { cookie } })).status).toBe(500)
    const reply = await (await gateway()).client.get('/whoami', { headers: { cookie } })
    expect(reply.status).toBe(200)
    expect(reply.json()).toMatchObject({ session: {} })
  })

  test('every answer varies by Cookie, and no shared cache may keep one', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client } = await gateway()
    await client.post('/login', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'username=ann&remember=1' })
    for (const path of ['/', '/ping', '/peek', '/nowhere', '/boom', '/stream']) {
      const reply = await client.get(path)
      expect([path, reply.header('vary'), reply.header('cache-control')]).toEqual([path, 'Cookie', expect.stringMatching(/no-store|private/)])
    }
  })

  test('a login gets a new id, and keeps what was there', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client } = await gateway()
    await client.get('/count')
    const before = client.jar.get('session')?.value
    await client.post('/login', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'username=ann' })
    expect(client.jar.get('session')?.value).not.toBe(before)
    expect((await client.get('/whoami')).json()).toMatchObject({ session: { hits: 1, username: 'ann' } })
    client.jar.set('session', before ?? '')
    expect((await client.get('/whoami')).json()).toMatchObject({ session: {} })
  })

  test('a session larger than browsers carry works; one larger than the app accepts is refused whole', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway({ session: { cookie: { name: 'session', secure: false }, maxBytes: '16KB' } })
    await world.client.get('/count')
    expect((await world.client.get('/big?n=4000')).status).toBe(200)
    const whoami = await world.client.get('/whoami')
    expect(whoami.json<{ session: { big: string } }>().session.big).toHaveLength(8_000)
    expect((await world.client.get('/big?n=7000')).status).toBe(502)
    expect((await world.client.get('/whoami')).body).toBe(whoami.body)
  })

  test('nobody but the app signs: another key is an error, a fallback is not', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const wrong = await gateway({}, { secretKey: 'not the key of this app' })
    expect((await wrong.client.get('/count')).status).toBe(502)
    expect(wrong.client.jar.all()).toEqual([])
    expect(wrong.log.find(({ code }) => code === 'ERR_MUTATION_REFUSED')).toMatchObject({ err: expect.stringContaining('is not signed by the configured secretKey') as string })

    const rotated = await gateway({}, { fallbacks: [{ secretKey: 'the key before' }] })
    const old = createItsdangerousSigner({ secrets: ['the key before'], salt: FLASK_COOKIE_SALT }).signAt(Buffer.from('{"hits":4}').toString('base64url'), now())
    rotated.client.jar.set('session', old)
    expect((await rotated.client.get('/count')).body).toBe('5')
  })
})

/** Resolves once so many requests with a cookie have got past the opening of their session, besides those before. */
async function opened(world: World, more: number): Promise<void> {
  const count = async (): Promise<number> => Number(/sessiongate_phase_seconds_count\{phase="open"\} (\d+)/.exec(await world.metrics.registry.metrics())?.[1] ?? 0)
  const before = await count()
  await waitFor(async () => await count() >= before + more, 'session opened')
}
