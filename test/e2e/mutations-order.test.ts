import { describe, expect, test } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { GatedStore } from '../support/gated-store.ts'
import { counterOf } from '../support/metrics.ts'
import { answerTo, dataOf, leaksIn, obey, order } from '../support/obedient-app.ts'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { rawResponse, step } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

interface GatedWorld extends World { readonly gates: GatedStore }

async function gatedWorld(options: WorldOptions = {}): Promise<GatedWorld> {
  const gates = new GatedStore(createMemoryStore())
  const world = await startWorld({ ...options, store: gates })
  world.upstream.respond(obey)
  return Object.assign(world, { gates })
}

const away = (): StoreUnavailableError => new StoreUnavailableError('memory', 'replace', new Error('away'))

async function rawGet(world: World, cookie: string | undefined, extra = ''): Promise<RawClient> {
  const client = await connectRaw(world.url)
  await client.send(`GET / HTTP/1.1\r\nHost: ${new URL(world.url).host}\r\n${cookie === undefined ? '' : `Cookie: ${cookie}\r\n`}${extra}\r\n`)
  return client
}

const cookieOf = (world: World): string => `sid=${world.client.jar.get('sid')?.value}`

describe('MU2 the store speaks first', () => {
  test.each([['create', undefined], ['replace', { a: 0 }]] as const)('not one byte leaves while %s is on its way, however much the app has sent', async (method, before) => {
    await using world = await gatedWorld()
    if (before) await order(world.client, { patch: before })
    const gate = world.gates.hold(method, 'after')
    world.upstream.respondOnce([answerTo({ patch: { a: 1 }, body: 'x'.repeat(100_000) }), step.delay(1)])
    using client = await rawGet(world, before && cookieOf(world))
    await gate.reached
    await order(world.newClient(), {})                          // whatever was to leave had the time of a whole exchange
    expect(client.received).toHaveLength(0)
    gate.open()
    const reply = await client.readResponse()
    expect([reply.status, reply.body.length, reply.all('set-cookie').length]).toEqual([200, 100_000, before ? 0 : 1])
  })

  test('on a WebSocket the 101 waits too, and early bytes of the app with it', async () => {
    await using world = await gatedWorld()
    const gate = world.gates.hold('create', 'after')
    const headers: [string, string][] = [['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='], ['X-Session-Patch', '{"a":1}']]
    world.upstream.respondOnce([rawResponse({ status: 101, reason: 'Switching Protocols', headers }), 'early', step.echoBytes()])
    using client = await rawGet(world, undefined, `Origin: ${world.url}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`)
    await gate.reached
    await order(world.newClient(), {})
    expect(client.received).toHaveLength(0)
    gate.open()
    expect((await client.readResponse()).status).toBe(101)
    expect((await client.read(5)).toString()).toBe('early')
  })

  test('an answer without a mutation waits for no write: reads cost one load and nothing else', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { a: 1 } })
    world.gates.forgetCalls()
    for (let i = 0; i < 20; i++) expect((await order(world.client, {})).all('set-cookie')).toEqual([])
    expect(world.gates.calls).toEqual(Array(20).fill('load'))
  })

  test('CK10 RX1 visitors without a session cost the store nothing at all', async () => {
    await using world = await gatedWorld()
    for (let i = 0; i < 20; i++) expect((await order(world.newClient(), {})).all('set-cookie')).toEqual([])
    expect(world.gates.calls).toEqual([])
  })

  test('session: none costs the store nothing, with a cookie and with a mutation', async () => {
    await using world = await gatedWorld({ routes: [{}, { path: '/none', session: 'none' }] })
    await order(world.client, { patch: { a: 1 } })
    world.gates.forgetCalls()
    for (let i = 0; i < 5; i++) await order(world.client, { patch: { a: 2 }, control: 'rotate' }, { path: '/none' })
    expect(world.gates.calls).toEqual([])
  })
})

describe('MU3 a commit that failed', () => {
  const rows: [what: string, method: 'replace' | 'create', when: 'before' | 'after', send: Parameters<typeof order>[1]][] = [
    ['a patch', 'replace', 'before', { patch: { a: 1 } }], ['a patch whose answer was lost', 'replace', 'after', { patch: { a: 1 } }],
    ['a rotation, at its first write', 'create', 'before', { control: 'rotate' }], ['a rotation, at its second write', 'replace', 'before', { control: 'rotate' }],
    ['a logout', 'replace', 'before', { control: 'destroy' }],
  ]
  test.each(rows)('%s: 503 without Retry-After and Set-Cookie, the app\'s answer gone, the cookie kept', async (_what, method, when, send) => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { base: 1 } })
    const cookie = cookieOf(world)
    world.gates.fail(method, away(), when)
    const reply = await order(world.client, { ...send, headers: [['Set-Cookie', 'app=1'], ['X-App', '1']], body: 'the answer' })
    expect([reply.status, reply.header('retry-after'), reply.all('set-cookie'), reply.header('x-app')]).toEqual([503, undefined, [], undefined])
    expect(reply.json()).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(reply.body).not.toContain('the answer')
    expect(leaksIn(reply.headers)).toEqual([])
    expect(cookieOf(world)).toBe(cookie)
    expect(await dataOf(world)).toMatchObject({ base: 1 })
  })

  test('a first patch: 503, no cookie; the next one makes one session', async () => {
    await using world = await gatedWorld()
    world.gates.fail('create', away())
    expect((await order(world.client, { patch: { a: 1 } })).all('set-cookie')).toEqual([])
    expect((await order(world.client, { patch: { a: 1 } })).all('set-cookie')).toHaveLength(1)
  })

  test('onCommitFailure: forward sends the answer without a cookie and counts the loss', async () => {
    await using world = await gatedWorld({ routes: [{ onCommitFailure: 'forward' }] })
    world.gates.fail('create', away())
    const first = await order(world.client, { patch: { a: 1 }, headers: [['X-App', '1']], body: 'the answer' })
    expect([first.status, first.body, first.all('set-cookie'), first.header('x-app')]).toEqual([200, 'the answer', [], '1'])
    expect(leaksIn(first.headers)).toEqual([])
    await order(world.client, { patch: { a: 1 } })
    world.gates.fail('replace', away())
    expect((await order(world.client, { patch: { a: 2 }, control: 'permanent' })).all('set-cookie')).toEqual([])
    expect(await dataOf(world)).toEqual({ a: 1 })
    expect(await counterOf(world.metrics, 'sessiongate_mutations_lost_total', { route: '*/' })).toBe(2)
  })

  test('forward forgives the store, not the upstream: a refused mutation is still a 502', async () => {
    await using world = await gatedWorld({ routes: [{ onCommitFailure: 'forward' }] })
    expect((await order(world.client, { control: 'explode' })).status).toBe(502)
  })
})

describe('CL4 a client that leaves', () => {
  test('after the answer began to be stored: stored once, nothing breaks', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { n: 0 } })
    const gate = world.gates.hold('replace')
    world.upstream.respondOnce(answerTo({ patch: { n: 1 } }))
    const client = await rawGet(world, cookieOf(world))
    await gate.reached
    client.reset()
    await waitFor(() => world.listener.connections() <= 1, 'client gone')
    world.gates.forgetCalls()
    gate.open()
    await waitFor(async () => (await dataOf(world))?.['n'] === 1, 'stored change')
    expect(world.gates.count('replace', 'create', 'destroy')).toBe(0)
  })

  test('before the app answered: the exchange is ended, nothing is stored', async () => {
    await using world = await gatedWorld()
    await order(world.client, { patch: { n: 0 } })
    world.upstream.respondOnce([step.stall()])
    const client = await rawGet(world, cookieOf(world))
    await world.upstream.waitForRequests(2)
    const { connection } = world.upstream.lastRequest
    client.reset()
    await connection.peerEnded
    expect(await dataOf(world)).toEqual({ n: 0 })
  })
})
