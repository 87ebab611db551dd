import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { StoreUnavailableError } from '../../src/errors.ts'
import { systemClock } from '../../src/clock.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { watchCrashes } from '../support/crash-oracle.ts'
import { acceptUpgrade, rawResponse, step } from '../support/raw-upstream.ts'
import { waitFor, within } from '../support/wait-for.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

/** An app with a WebSocket that echoes, and pages that log in, log out and rotate. */
interface App extends AsyncDisposable {
  readonly url: string
  readonly sockets: ReadonlySet<WebSocket>
}

async function startApp(): Promise<App> {
  const http: Server = createServer((request, response) => {
    const control: Record<string, [string, string]> = {
      '/login': ['X-Session-Patch', '{"user":{"id":"ann"}}'], '/logout': ['X-Session-Control', 'destroy'],
      '/empty': ['X-Session-Patch', '{"user":null}'], '/rotate': ['X-Session-Control', 'rotate'], '/count': ['X-Session-Patch', '{"count":1}'],
    }
    const [name, value] = control[request.url ?? ''] ?? ['X-Nothing', 'x']
    response.setHeader(name, value).end('ok')
  })
  const wss = new WebSocketServer({ server: http, perMessageDeflate: false })
  wss.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    sockets: wss.clients,
    async [Symbol.asyncDispose]() {
      for (const socket of wss.clients) socket.terminate()
      wss.close()
      http.closeAllConnections()
      await new Promise((resolve) => { http.close(resolve) })
    },
  }
}

async function worldOf(app: App, options: WorldOptions = {}): Promise<World> {
  return await startWorld({ ...options, upstream: { targets: [app.url], ...options.upstream }, routes: options.routes ?? [{ websocket: { recheck: '100ms' } }] })
}

/** A browser's WebSocket through the gateway, with the jar's cookies. */
async function openSocket(world: World, cookie = world.client.jar.headerFor('/')): Promise<WebSocket> {
  const socket = new WebSocket(world.url.replace('http', 'ws'), { origin: world.url, headers: cookie === '' ? {} : { cookie } })
  socket.on('error', () => undefined)
  await within(once(socket, 'open'), 5_000, 'open WebSocket')
  return socket
}

async function closeOf(socket: WebSocket, timeoutMs = 5_000): Promise<{ code: number; reason: string }> {
  const [code, reason] = await within(once(socket, 'close') as Promise<[number, Buffer]>, timeoutMs, 'close of the WebSocket')
  return { code, reason: reason.toString() }
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message') as Promise<[Buffer]>
  socket.send(text)
  return (await within(answer, 5_000, 'echo'))[0].toString()
}

const ENDED = { code: 1008, reason: 'session ended' }

describe('a WebSocket ends with its session', () => {
  test.each(['/logout', '/empty'])('%s in this process: at once, every socket of the session and no other', async (path) => {
    await using app = await startApp()
    await using world = await worldOf(app, { routes: [{ websocket: { recheck: '1h' } }] })
    await world.client.get('/login')
    const other = world.newClient()
    await other.get('/login')
    const mine = [await openSocket(world), await openSocket(world)]
    const theirs = await openSocket(world, other.jar.headerFor('/'))
    const nobodys = await openSocket(world, '')
    expect(await echo(mine[0] as WebSocket, 'still there?')).toBe('still there?')

    const closes = mine.map((socket) => closeOf(socket))
    await world.client.get(path)
    expect(await Promise.all(closes)).toEqual([ENDED, ENDED])
    expect(await echo(theirs, 'me too?')).toBe('me too?')
    expect(await echo(nobodys, 'and me?')).toBe('and me?')
    await waitFor(() => app.sockets.size === 2, 'the app\'s side to be closed')
    theirs.terminate()
    nobodys.terminate()
  })

  test('destroyed on another node: within the recheck', async () => {
    await using app = await startApp()
    const store = createMemoryStore({ clock: systemClock })
    await using here = await worldOf(app, { store })
    await using there = await worldOf(app, { store })
    await here.client.get('/login')
    const socket = await openSocket(here)
    const closed = closeOf(socket)
    await there.client.get('/logout', { headers: { cookie: here.client.jar.headerFor('/') } })
    const startedAt = performance.now()
    expect(await closed).toEqual(ENDED)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test.each([
    ['idle', { idle: '10m' }, 11],
    ['absolute', { idle: '1h', absolute: '1h' }, 61],
  ])('expired (%s): within the recheck', async (_kind, session, minutes) => {
    let now = systemClock()
    const clock = (): EpochMs => now
    await using app = await startApp()
    await using world = await worldOf(app, { clock, session })
    await world.client.get('/login')
    const socket = await openSocket(world)
    expect(await echo(socket, 'alive')).toBe('alive')
    const closed = closeOf(socket)
    now = (now + minutes * 60_000) as EpochMs
    expect(await closed).toEqual(ENDED)
  })

  test('rotation keeps it, and it ends with the new id', async () => {
    await using app = await startApp()
    await using world = await worldOf(app, { routes: [{ websocket: { recheck: '1h' } }] })
    await world.client.get('/login')
    const socket = await openSocket(world)
    await world.client.get('/rotate')
    expect(await echo(socket, 'still')).toBe('still')
    const closed = closeOf(socket)
    await world.client.get('/logout')
    expect(await closed).toEqual(ENDED)
  })

  test('rotation and end on another node: followed', async () => {
    await using app = await startApp()
    const store = createMemoryStore({ clock: systemClock })
    await using here = await worldOf(app, { store })
    await using there = await worldOf(app, { store })
    await here.client.get('/login')
    const socket = await openSocket(here)
    const { client } = there
    client.jar.set('sid', here.client.jar.get('sid')?.value ?? '')
    await client.get('/rotate')
    await new Promise((resolve) => setTimeout(resolve, 250))         // more than one recheck
    expect(await echo(socket, 'still')).toBe('still')
    const closed = closeOf(socket)
    await client.get('/logout')
    expect(await closed).toEqual(ENDED)
  })

  test('a change, a touch and another one\'s logout end nothing; nor does a store that is away', async () => {
    await using app = await startApp()
    await using world = await worldOf(app)
    await world.client.get('/login')
    const socket = await openSocket(world)
    await world.client.get('/count')
    const other = world.newClient()
    await other.get('/login')
    await other.get('/logout')
    let failures = 0
    const { load } = world.store
    world.store.load = () => {
      failures++
      return Promise.reject(new StoreUnavailableError('memory', 'load', 'test'))
    }
    await waitFor(() => failures >= 3, 'some failed rechecks')
    expect(await echo(socket, 'alive')).toBe('alive')
    world.store.load = load
    const closed = closeOf(socket)
    await world.client.get('/logout')
    expect(await closed).toEqual(ENDED)
  })

  test('many sockets of one session cost one store read per recheck', async () => {
    await using app = await startApp()
    await using world = await worldOf(app)
    await world.client.get('/login')
    const sockets = await Promise.all(Array.from({ length: 30 }, () => openSocket(world)))
    let loads = 0
    const load = world.store.load.bind(world.store)
    world.store.load = (key) => {
      loads++
      return load(key)
    }
    await waitFor(() => loads >= 5, 'rechecks')
    const before = loads
    await new Promise((resolve) => setTimeout(resolve, 500))         // about five rechecks
    expect(loads - before).toBeLessThan(10)
    for (const socket of sockets) socket.terminate()
    await waitFor(() => app.sockets.size === 0, 'closed sockets')
    const after = loads
    await new Promise((resolve) => setTimeout(resolve, 300))         // longer than a recheck: none comes any more
    expect(loads - after).toBeLessThanOrEqual(1)
  })

  test('a reload of the configuration keeps sockets, and they still end with their session', async () => {
    await using app = await startApp()
    await using world = await worldOf(app)
    await world.client.get('/login')
    const socket = await openSocket(world)
    void world.reconfigure({})
    await world.client.get('/')
    expect(await echo(socket, 'alive')).toBe('alive')
    const closed = closeOf(socket)
    await world.client.get('/logout')
    expect(await closed).toEqual(ENDED)
  })

  test('in the middle of a frame there is no room for a close frame: the socket is cut', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'in' }))
    await world.client.get('/login')
    world.upstream.respondOnce(async (request, connection) => {
      const accept = acceptUpgrade()
      const [head] = (typeof accept === 'function' ? await accept(request, connection) : accept) as [Buffer]
      return [head, Buffer.from([0x82, 10, 1, 2, 3]), step.stall()]
    })
    const socket = await openSocket(world)
    await new Promise((resolve) => setTimeout(resolve, 50))          // the half frame is on its way
    const closed = closeOf(socket)
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Control', 'destroy']], body: 'out' }))
    await world.client.get('/logout')
    expect((await closed).code).toBe(1006)
  })
})

describe('WS7: limits and ends', () => {
  test('idle: closed 1001, and bytes in either direction keep it open', async () => {
    await using app = await startApp()
    await using world = await worldOf(app, { routes: [{ websocket: { idle: '300ms' } }] })
    const socket = await openSocket(world)
    for (let n = 0; n < 6; n++) {
      expect(await echo(socket, `${n}`)).toBe(`${n}`)
      await new Promise((resolve) => setTimeout(resolve, 100))       // less than the limit
    }
    const startedAt = performance.now()
    expect(await closeOf(socket)).toEqual({ code: 1001, reason: 'idle' })
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    await waitFor(() => app.sockets.size === 0, 'the app\'s side to be closed', 1_000)
  })

  test('maximum age: closed 1001 in spite of traffic', async () => {
    await using app = await startApp()
    await using world = await worldOf(app, { routes: [{ websocket: { maxAge: '400ms' } }] })
    const socket = await openSocket(world)
    const chatter = setInterval(() => { if (socket.readyState === socket.OPEN) socket.send('x') }, 20)
    expect(await closeOf(socket)).toEqual({ code: 1001, reason: 'maximum age reached' })
    clearInterval(chatter)
  })

  test.each(['terminate', 'close'] as const)('either side by %s: the other is closed within a second', async (how) => {
    await using app = await startApp()
    await using world = await worldOf(app)
    const first = await openSocket(world)
    first[how]()
    await waitFor(() => app.sockets.size === 0, 'the app\'s side to be closed', 1_000)
    const second = await openSocket(world)
    const closed = closeOf(second, 1_000)
    for (const socket of app.sockets) socket[how]()
    expect((await closed).code).toBe(how === 'close' ? 1005 : 1006)
    await waitFor(() => world.listener.connections() <= 1, 'the gateway to let go', 2_000)
  })

  test('a close handshake passes with its code and reason', async () => {
    await using app = await startApp()
    await using world = await worldOf(app)
    const socket = await openSocket(world)
    const closed = closeOf(socket)
    for (const other of app.sockets) other.close(4_001, 'because')
    expect(await closed).toEqual({ code: 4_001, reason: 'because' })
  })

  test('large messages pass both ways, compressed or not', async () => {
    await using app = await startApp()
    await using world = await worldOf(app)
    const socket = await openSocket(world)
    const text = 'ä'.repeat(1_000_000)
    expect(await echo(socket, text)).toBe(text)
    socket.terminate()
  })
})

test('WS8: a reader that stops stops the upstream; memory stays', { retry: 1 }, async () => {
  await using world = await startWorld()
  world.upstream.respond(async (request, connection) => {
    const accept = acceptUpgrade()
    const [head] = (typeof accept === 'function' ? await accept(request, connection) : accept) as [Buffer]
    return [head, Buffer.from([0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0]), step.pour(0x10000000)]
  })
  const socket = await openSocket(world)
  socket.pause()
  const upstream = world.upstream.connections[0]?.socket
  let before = -1
  await waitFor(() => {
    const now = upstream?.bytesWritten ?? 0
    const isStill = now === before && now > 0
    before = now
    return isStill
  }, 'the upstream to be stopped')
  expect(before).toBeLessThan(64 * 1_048_576)
  socket.terminate()
})

test('two hundred sockets opened and closed in every way leave nothing behind', async () => {
  await using app = await startApp()
  await using world = await worldOf(app)
  await world.client.get('/login')
  const warmUp = await openSocket(world)
  warmUp.terminate()
  await waitFor(() => app.sockets.size === 0, 'closed sockets')
  using oracle = watchCrashes({ extraDescriptors: 4, growthBytes: 32 * 1_048_576 })
  for (let round = 0; round < 8; round++) {
    const sockets = await Promise.all(Array.from({ length: 25 }, () => openSocket(world)))
    await Promise.all(sockets.map((socket) => echo(socket, 'x')))
    const closed = Promise.all(sockets.map((socket) => closeOf(socket)))
    if (round % 4 === 0) for (const socket of sockets) socket.terminate()
    else if (round % 4 === 1) for (const socket of app.sockets) socket.terminate()
    else if (round % 4 === 2) for (const socket of sockets) socket.close()
    else {
      await world.client.get('/logout')
      await world.client.get('/login')
    }
    await closed
    await waitFor(() => app.sockets.size === 0, 'closed sockets')
  }
  expect(world.gateway.tunnels.count()).toBe(0)
  await oracle.assertClean()
})
