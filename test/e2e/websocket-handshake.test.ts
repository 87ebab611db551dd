import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { watchCrashes } from '../support/crash-oracle.ts'
import { GatedStore } from '../support/gated-store.ts'
import type { HeaderList } from '../support/http-framing.ts'
import { counterOf } from '../support/metrics.ts'
import { connectRaw } from '../support/raw-client.ts'
import { acceptUpgrade, rawResponse, startRawUpstream, step, type Answer } from '../support/raw-upstream.ts'
import { testCertificates } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
const BASE: HeaderList = [
  ['Host', 'app.test'], ['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Key', KEY], ['Sec-WebSocket-Version', '13'], ['Origin', 'http://app.test'],
]

interface Changes {
  readonly line?: string
  readonly set?: Readonly<Record<string, string | undefined>>
  readonly add?: HeaderList
}

/** A good handshake with some fields replaced, left out or added. */
function handshake({ line = 'GET /socket HTTP/1.1', set = {}, add = [] }: Changes = {}): string {
  const fields = BASE.map(([name, value]) => [name, name in set ? set[name] : value] as const).filter(([, value]) => value !== undefined)
  return `${[line, ...[...fields, ...add].map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n`
}

async function socketWorld(options: WorldOptions = {}): Promise<World> {
  const world = await startWorld(options)
  world.upstream.respond(acceptUpgrade())
  return world
}

describe('WS1: a handshake that succeeds', () => {
  test('carries the session up and the 101 down, on a connection of its own', async () => {
    await using world = await socketWorld()
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"user":{"id":"ann"}}']], body: 'in' }))
    await world.client.get('/login')
    const cookie = world.client.jar.headerFor('/')
    await using client = await connectRaw(world.url)
    const reply = await client.request(handshake({ add: [['Cookie', `theme=dark; ${cookie}`], ['Sec-WebSocket-Protocol', 'chat, v2'], ['Sec-WebSocket-Extensions', 'permessage-deflate']] }))
    expect(reply).toMatchObject({ status: 101, reason: 'Switching Protocols' })
    expect(reply.header('upgrade')).toBe('websocket')
    expect(reply.header('connection')).toBe('Upgrade')
    expect(reply.header('sec-websocket-accept')).toBe(ACCEPT)
    expect(reply.all('content-length')).toEqual([])
    expect(reply.all('transfer-encoding')).toEqual([])

    const seen = world.upstream.lastRequest
    expect(world.lastClaims()).toMatchObject({ new: false, data: { user: { id: 'ann' } } })
    expect(seen.header('cookie')).toBe('theme=dark')
    expect(seen.header('sec-websocket-protocol')).toBe('chat, v2')
    expect(seen.all('upgrade')).toEqual(['websocket'])
    expect(seen.all('connection')).toEqual(['Upgrade'])
    expect(seen.connection.id).not.toBe(world.upstream.requests[0]?.connection.id)

    await client.send('raw bytes, no frames')
    expect((await client.read(20)).toString()).toBe('raw bytes, no frames')
  })

  test('a mutation on the 101 is stored before the switch, and stripped', async () => {
    let stored = 0
    await using world = await socketWorld()
    const { store } = world
    const create = store.create.bind(store)
    const release: Array<() => void> = []
    store.create = async (...parameters) => {
      await new Promise<void>((resolve) => { release.push(resolve) })
      const outcome = await create(...parameters)
      stored++
      return outcome
    }
    world.upstream.respond(acceptUpgrade([['X-Session-Patch', '{"seat":1}']]))
    await using client = await connectRaw(world.url)
    void client.send(handshake())
    await waitFor(() => release.length === 1, 'the commit to begin')
    void client.send('early')
    expect(client.received.length).toBe(0)
    release[0]?.()
    const reply = await client.readResponse()
    expect(stored).toBe(1)
    expect(reply.status).toBe(101)
    expect(reply.header('x-session-patch')).toBeUndefined()
    expect(reply.header('set-cookie')).toMatch(/^sid=/)
    expect((await client.read(5)).toString()).toBe('early')
  })

  test('a mutation that is refused is a 502 and no switch', async () => {
    await using world = await socketWorld()
    world.upstream.respond(acceptUpgrade([['X-Session-Patch', '{nonsense']]))
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake())).status).toBe(502)
    await client.waitForClose()
    await world.upstream.connections[0]?.closed
  })

  test('1200 fields on the 101: none is lost, the mutation behind them counts', async () => {
    await using world = await socketWorld()
    world.upstream.respond(acceptUpgrade([...Array.from({ length: 1_200 }, (_, n) => [`F-${n}`, 'x'] as const), ['X-Session-Patch', '{"a":1}']]))
    await using client = await connectRaw(world.url)
    const reply = await client.request(handshake())
    expect(reply.status).toBe(101)
    expect(reply.headers.filter(([name]) => name.startsWith('F-'))).toHaveLength(1_200)
    expect(reply.header('set-cookie')).toMatch(/^sid=/)
  })

  test('what the upstream says right behind its 101 arrives, and in order', async () => {
    await using world = await socketWorld()
    world.upstream.respond((request) => {
      const accept = createHash('sha1').update(`${request.header('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      return [`${rawResponse({ status: 101, headers: [['Upgrade', 'websocket'], ['Connection', 'Upgrade'], ['Sec-WebSocket-Accept', accept]] }).toString('latin1')}first `, 'second', step.stall()]
    })
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake())).status).toBe(101)
    expect((await client.read(12)).toString()).toBe('first second')
  })

  test('is logged once, as 101, when it ends', async () => {
    await using world = await socketWorld()
    await using client = await connectRaw(world.url)
    await client.request(handshake())
    client.close()
    await waitFor(() => world.log.some(({ msg }) => msg === 'request'), 'the log line')
    expect(world.log.filter(({ msg }) => msg === 'request')).toMatchObject([{ status: 101, path: '/socket' }])
    expect(await world.metrics.registry.metrics()).toMatch(/requests_total\{route="\*\/",status="101"\} 1\n/)
  })

  test('over TLS and over a unix socket, and past a target that is down', async () => {
    const { server, caFile } = testCertificates()
    await using secure = await startRawUpstream(acceptUpgrade(), { tls: server })
    await using local = await startRawUpstream(acceptUpgrade(), { unix: true })
    const down = `http://127.0.0.1:${await freePort()}`
    for (const upstream of [{ targets: [secure.url], tls: { caFile } }, { targets: [local.url] }, { targets: [down, local.url] }]) {
      await using world = await startWorld({ upstream })
      for (let n = 0; n < 2; n++) {
        await using client = await connectRaw(world.url)
        expect((await client.request(handshake())).status).toBe(101)
      }
    }
  })
})

describe('WS2: nobody forges fields on a handshake', () => {
  test.each<[string, HeaderList]>([
    ['a forged assertion', [['X-Session-Assertion', 'forged']]],
    ['another spelling', [['x_session_assertion', 'forged']]],
    ['named in Connection', [['Connection', 'X-Session-Assertion, X-Forwarded-For, Cookie']]],
    ['with Expect', [['Expect', '100-continue'], ['X-Session-Assertion', 'forged']]],
    ['forwarded fields', [['X-Forwarded-For', '6.6.6.6'], ['Forwarded', 'for=6.6.6.6']]],
  ])('%s', async (_what, add) => {
    await using world = await socketWorld()
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake({ add }))).status).toBe(101)
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
    const seen = world.upstream.lastRequest
    expect(seen.rawHead).not.toContain('forged')
    expect(seen.rawHead).not.toContain('6.6.6.6')
    expect(seen.all('x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(seen.all('expect')).toEqual([])
  })
})

interface Refusal {
  readonly id: string
  readonly what: string
  readonly changes: Changes
  readonly status: number
}

const refusals: readonly Refusal[] = [
  { id: 'WS3', what: 'a foreign origin', changes: { set: { Origin: 'https://evil.example' } }, status: 403 },
  { id: 'WS3', what: 'origin null', changes: { set: { Origin: 'null' } }, status: 403 },
  { id: 'WS3', what: 'no origin', changes: { set: { Origin: undefined } }, status: 403 },
  { id: 'WS3', what: 'an origin that only begins like ours', changes: { set: { Origin: 'http://app.test.evil.example' } }, status: 403 },
  { id: 'WS3', what: 'our name on another port', changes: { set: { Origin: 'http://app.test:81' } }, status: 403 },
  { id: 'WS3', what: 'our name with a path', changes: { set: { Origin: 'http://app.test/x' } }, status: 403 },
  { id: 'WS3', what: 'our name with a user', changes: { set: { Origin: 'http://evil@app.test' } }, status: 403 },
  { id: 'WS3', what: 'two origins', changes: { add: [['Origin', 'https://evil.example']] }, status: 403 },
  { id: 'WS4', what: 'version 8', changes: { set: { 'Sec-WebSocket-Version': '8' } }, status: 426 },
  { id: 'WS4', what: 'no version', changes: { set: { 'Sec-WebSocket-Version': undefined } }, status: 426 },
  { id: 'WS4', what: 'no key', changes: { set: { 'Sec-WebSocket-Key': undefined } }, status: 400 },
  { id: 'WS4', what: 'a short key', changes: { set: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } }, status: 400 },
  { id: 'WS4', what: 'two keys', changes: { add: [['Sec-WebSocket-Key', KEY]] }, status: 400 },
  { id: 'WS4', what: 'POST', changes: { line: 'POST /socket HTTP/1.1' }, status: 400 },
  { id: 'WS4', what: 'HTTP/1.0', changes: { line: 'GET /socket HTTP/1.0' }, status: 400 },
  { id: 'WS4', what: 'a length', changes: { add: [['Content-Length', '5']] }, status: 400 },
  { id: 'WS4', what: 'chunked', changes: { add: [['Transfer-Encoding', 'chunked']] }, status: 400 },
  { id: 'WS4', what: 'another protocol', changes: { set: { Upgrade: 'h2c' } }, status: 400 },
  { id: 'WS4', what: 'two protocols', changes: { set: { Upgrade: 'websocket, h2c' } }, status: 400 },
  { id: 'WS4', what: 'no host', changes: { set: { Host: undefined } }, status: 400 },
  { id: 'WS4', what: 'a path two servers read differently', changes: { line: 'GET /a\\..\\b HTTP/1.1' }, status: 400 },
]

describe('WS3, WS4: what is no good handshake is refused and closed, and no upstream hears of it', () => {
  test.each(refusals)('$id: $what -> $status', async ({ changes, status }) => {
    await using world = await socketWorld()
    await using client = await connectRaw(world.url)
    const reply = await client.request(`${handshake(changes)}EARLY`)
    expect(reply.status).toBe(status)
    if (status === 426) expect(reply.header('sec-websocket-version')).toBe('13')
    await client.waitForClose()
    expect(world.upstream.requestCount).toBe(0)
    await waitFor(() => world.log.some(({ msg }) => msg === 'request'), 'the log line')
    expect(world.log.filter(({ msg }) => msg === 'request')).toMatchObject([{ status }])
  })

  test('origins are the route\'s to choose', async () => {
    await using world = await socketWorld({
      routes: [
        { path: '/same' }, { path: '/none', websocket: { origins: ['none'] } }, { path: '/any', websocket: { origins: ['*'] } },
        { path: '/named', websocket: { origins: ['https://shop.example', 'same'] } },
      ],
    })
    const ask = async (path: string, origin: string | undefined): Promise<number> => {
      await using client = await connectRaw(world.url)
      return (await client.request(handshake({ line: `GET ${path} HTTP/1.1`, set: { Origin: origin } }))).status
    }
    expect(await ask('/same', 'http://APP.test')).toBe(101)
    expect([await ask('/none', undefined), await ask('/none', 'http://app.test')]).toEqual([101, 403])
    expect([await ask('/any', undefined), await ask('/any', 'https://evil.example')]).toEqual([101, 101])
    expect([await ask('/named', 'https://shop.example'), await ask('/named', 'http://app.test'), await ask('/named', undefined)]).toEqual([101, 101, 403])
  })

  test('WS9: a store that is down is a 503, and no tunnel', async () => {
    await using world = await socketWorld()
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'in' }))
    await world.client.get('/login')
    world.store.load = () => Promise.reject(new StoreUnavailableError('memory', 'load', 'test'))
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake({ add: [['Cookie', world.client.jar.headerFor('/')]] }))).status).toBe(503)
    await client.waitForClose()
    expect(world.upstream.requests.filter(({ target }) => target === '/socket')).toHaveLength(0)
  })

  test('a route that requires a session says 401', async () => {
    await using world = await socketWorld({ routes: [{ session: 'require' }] })
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake())).status).toBe(401)
    expect(world.upstream.requestCount).toBe(0)
  })
})

describe('WS5, WS6: an upstream that declines', () => {
  const page = 'x'.repeat(50_000)
  test.each<[string, Answer, number | 'cut', string]>([
    ['401 with a length', rawResponse({ status: 401, body: page }), 401, page],
    ['302', rawResponse({ status: 302, headers: [['Location', '/login']], body: '' }), 302, ''],
    ['200 with Upgrade', rawResponse({ headers: [['Upgrade', 'websocket'], ['Connection', 'Upgrade']], body: 'plain' }), 200, 'plain'],
    ['500 chunked', rawResponse({ status: 500, chunks: ['a', 'b'] }), 500, 'ab'],
    ['204', rawResponse({ status: 204 }), 204, ''],
    ['403 until the end', ['HTTP/1.1 403 No\r\n\r\nbecause', step.end()], 403, 'because'],
    ['401, then a reset', [rawResponse({ status: 401, body: 'no' }), step.reset()], 401, 'no'],
    ['500 cut within its length', ['HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nabc', step.end()], 'cut', 'abc'],
    ['500 reset within its length', ['HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nabc', step.delay(20), step.reset()], 'cut', 'abc'],
    ['a reset at once', step.reset(), 502, ''],
    ['a close at once', step.end(), 502, ''],
    ['not HTTP', ['SSH-2.0-x\r\n', step.end()], 502, ''],
    ['101 to another protocol', 'HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n', 502, ''],
    ['101 to no protocol', ['HTTP/1.1 101 Switching\r\n\r\n', step.stall()], 502, ''],
    ['a thousand 103', [...Array<string>(1_000).fill('HTTP/1.1 103 Early Hints\r\n\r\n'), step.stall()], 502, ''],
    ['a 100, then an answer', ['HTTP/1.1 100 Continue\r\n\r\n', rawResponse({ status: 404, body: 'x' })], 404, 'x'],
  ])('%s', async (_what, answer, expected, body) => {
    await using world = await socketWorld()
    world.upstream.respondOnce(answer)
    await using client = await connectRaw(world.url)
    const reply = await client.request(`${handshake()}EARLY BYTES`)
    expect(reply.truncated ? 'cut' : reply.status).toBe(expected)
    if (expected !== 502) expect(reply.text).toBe(body)
    if (!reply.truncated) expect(reply.header('connection')).toBe('close')
    expect(reply.header('upgrade')).toBeUndefined()
    await client.waitForClose()
    expect(world.upstream.connections[0]?.received.toString('latin1')).not.toContain('EARLY')
    await world.upstream.connections[0]?.closed
    await waitFor(() => world.log.some(({ msg }) => msg === 'request'), 'the log line')
    expect(world.log.filter(({ msg }) => msg === 'request')).toHaveLength(1)
  })

  test('bytes before the 101 are held until it, and the upstream never sees them before it answered', async () => {
    await using world = await socketWorld()
    let letGo = (): void => undefined
    const held = new Promise<void>((resolve) => { letGo = resolve })
    world.upstream.respond(async (request, connection) => {
      await held
      expect(connection.received.toString('latin1')).not.toContain('EARLY')
      const script = acceptUpgrade()
      return typeof script === 'function' ? await script(request, connection) : script
    })
    await using client = await connectRaw(world.url)
    void client.send(`${handshake()}EARLY `)
    await world.upstream.waitForRequests(1)
    await client.send('AND LATER')
    letGo()
    expect((await client.readResponse()).status).toBe(101)
    expect((await client.read(15)).toString()).toBe('EARLY AND LATER')
  })

  test('one that never answers: 504, both sides let go', async () => {
    await using world = await socketWorld({ upstream: { timeouts: { firstByte: '150ms' } } })
    world.upstream.respondOnce(step.stall())
    await using client = await connectRaw(world.url)
    expect((await client.request(handshake())).status).toBe(504)
    await client.waitForClose()
    await world.upstream.connections[0]?.closed
  })
})

test.each(['client', 'upstream'] as const)('WS7: the %s leaves during the commit of a 101: the other side is closed, nothing is kept', async (who) => {
  await using world = await socketWorld()
  const create = world.store.create.bind(world.store)
  const begun: Array<() => void> = []
  world.store.create = async (...parameters) => {
    await new Promise<void>((resolve) => { begun.push(resolve) })
    return await create(...parameters)
  }
  world.upstream.respond(acceptUpgrade([['X-Session-Patch', '{"a":1}']]))
  await using client = await connectRaw(world.url)
  await client.send(`${handshake()}early`)
  await waitFor(() => begun.length === 1, 'the commit to begin')
  const upstream = world.upstream.connections[0]
  if (who === 'client') client.reset()
  else upstream?.reset()
  if (who === 'client') await waitFor(() => world.listener.connections() === 0, 'the client to be gone')
  begun[0]?.()
  await upstream?.closed
  if (who === 'upstream') await client.waitForClose(1_500)
  await waitFor(() => world.log.some(({ msg }) => msg === 'request'), 'the log line')
  expect(world.gateway.tunnels.count()).toBe(0)
})

test.each(['closes', 'resets'] as const)('WS7: a client that %s while its session is opened: no upstream hears of it', async (how) => {
  const gates = new GatedStore(createMemoryStore({ clock: systemClock }))
  await using world = await socketWorld({ store: gates })
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'ok' }))
  await world.client.get('/')
  const seen = world.upstream.requestCount
  const gate = gates.hold('load')
  const client = await connectRaw(world.url)
  await client.send(handshake({ add: [['Cookie', world.client.jar.headerFor('/') ?? '']] }))
  await gate.reached
  if (how === 'resets') client.reset()
  else client.close()
  await waitFor(async () => (await counterOf(world.metrics, 'sessiongate_client_connections')) <= 1, 'the gateway to notice')
  gate.open()
  await waitFor(() => world.log.filter(({ msg }) => msg === 'request').length === 2, 'the log line')
  expect(world.upstream.requestCount).toBe(seen)
  expect(world.gateway.tunnels.count()).toBe(0)
})

test('open WebSockets are counted', async () => {
  await using world = await socketWorld()
  const open = (): Promise<number> => counterOf(world.metrics, 'sessiongate_websockets_open')
  const clients = await Promise.all(Array.from({ length: 3 }, () => connectRaw(world.url)))
  for (const client of clients) await client.send(handshake())
  await waitFor(async () => (await open()) === 3, 'three')
  clients[0]?.reset()
  await waitFor(async () => (await open()) === 2, 'two')
  for (const client of clients) client.close()
  await waitFor(async () => (await open()) === 0, 'none')
})

test('WS7: a client that resets at any point of the handshake leaves nothing behind', async () => {
  await using world = await socketWorld()
  world.upstream.respond((request) => request.target === '/slow' ? step.stall() : rawResponse({ body: 'ok' }))
  await world.client.get('/')
  using oracle = watchCrashes({ extraDescriptors: 2 })
  for (const bytes of [handshake().slice(0, 40), handshake(), handshake({ line: 'GET /slow HTTP/1.1' }), `${handshake({ line: 'GET /slow HTTP/1.1' })}early`]) {
    for (let n = 0; n < 20; n++) {
      const client = await connectRaw(world.url)
      await client.send(bytes)
      client.reset()
    }
  }
  await waitFor(() => world.upstream.openConnections.length <= 1, () => `the upstream connections to be let go: ${world.upstream.openConnections.map((c) => c.requests.map((r) => r.target).join()).join(' ')}`)
  expect((await world.client.get('/')).status).toBe(200)
  await oracle.assertClean()
})
