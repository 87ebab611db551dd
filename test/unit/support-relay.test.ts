import { describe, expect, test } from 'vitest'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { rawResponse, startRawUpstream, step, type RawUpstream } from '../support/raw-upstream.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { waitFor } from '../support/wait-for.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('a relay', () => {
  test('passes requests and answers through, and ends both ways', async () => {
    await using world = await startWorld()
    expect(await world.client.request(GET)).toMatchObject({ status: 200, text: 'ok' })
    world.client.halfClose()
    expect(await world.client.waitForClose()).toBe('fin')
    expect(await world.upstream.connections[0]?.peerEnded).toBe('fin')
    await waitFor(() => world.relay.openConnections === 0, 'closed link')
  })

  test('passes a reset on as a reset, in both directions, after the bytes before it', async () => {
    await using world = await startWorld()
    world.upstream.respond([rawResponse({ headers: [['Content-Length', '9']], body: 'abc' }), step.reset()])
    expect(await world.client.request(GET)).toMatchObject({ truncated: true, text: 'abc' })
    expect(await world.client.closedByPeer).toBe('reset')

    await using other = await connectRaw(world.relay.port)
    await other.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
    other.reset()
    const [, request] = await world.upstream.waitForRequests(2)
    expect(request).toMatchObject({ truncated: true, body: Buffer.from('abc') })
    expect(await request?.connection.peerEnded).toBe('reset')
  })

  test('latency delays, one way or both, without adding up per piece', async () => {
    await using world = await startWorld()
    world.relay.set({ latencyMs: 80 }, 'down')
    world.upstream.respond([step.drip(rawResponse({ body: 'abcdefghij' }), 1)])
    const startedAt = performance.now()
    await world.client.request(GET)
    const tookMs = performance.now() - startedAt
    expect(tookMs).toBeGreaterThan(79)
    expect(tookMs).toBeLessThan(1_500)           // some fifty pieces of 80 ms each would be 4 s
    world.relay.heal()
    const healedAt = performance.now()
    world.upstream.respond('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await world.client.request(GET)
    expect(performance.now() - healedAt).toBeLessThan(79)
  })

  test('jitter keeps the order of bytes', async () => {
    await using world = await startWorld()
    const body = Array.from({ length: 200 }, (_, at) => String(at).padStart(4)).join('')
    world.upstream.respond([step.drip(rawResponse({ body }), 1, 40)])
    world.relay.set({ jitterMs: 20 })
    expect((await world.client.request(GET)).text).toBe(body)
  })

  test('bandwidth takes its time', async () => {
    await using world = await startWorld()
    world.upstream.respond(rawResponse({ body: 'x'.repeat(20_000) }))
    world.relay.set({ bytesPerSecond: 100_000 }, 'down')
    const startedAt = performance.now()
    expect((await world.client.request(GET)).body).toHaveLength(20_000)
    expect(performance.now() - startedAt).toBeGreaterThan(190)
  })

  test('slices into pieces of the size asked for', async () => {
    await using world = await startWorld()
    const sizes: number[] = []
    world.relay.set({ sliceBytes: 3 }, 'down')
    world.client.socket.on('data', (bytes: Buffer) => { sizes.push(bytes.length) })
    expect((await world.client.request(GET)).text).toBe('ok')
    expect(sizes.length).toBeGreaterThan(4)          // the kernel may join some
  })

  test('resets after exactly so many bytes', async () => {
    await using world = await startWorld()
    world.relay.set({ resetAfterBytes: 12 }, 'down')
    await world.client.send(GET)
    expect((await world.client.readAll()).toString()).toBe('HTTP/1.1 200')
    expect(await world.client.closedByPeer).toBe('reset')
    expect(await world.upstream.connections[0]?.peerEnded).toBe('reset')
  })

  test('a black hole in the way back: the server acts, the client never hears of it, healing resets', async () => {
    await using world = await startWorld()
    world.relay.set({ blackHole: true }, 'down')
    await world.client.send(GET)
    await world.upstream.waitForRequests(1)
    await world.upstream.connections[0]?.send('more')
    await expect(world.client.readResponse({ timeoutMs: 50 })).rejects.toThrow(/within 50 ms/)
    world.relay.heal()
    expect(await world.client.waitForClose()).toBe('reset')
  })

  test('a black hole swallows ends too', async () => {
    await using world = await startWorld()
    world.relay.set({ blackHole: true })
    world.client.halfClose()
    await expect(world.client.waitForClose(50)).rejects.toThrow(/within 50 ms/)
    expect(world.upstream.connections[0]?.reader.ending).toBeUndefined()
  })

  test('held bytes arrive when they are let go', async () => {
    await using world = await startWorld()
    world.relay.set({ hold: true }, 'up')
    await world.client.send(GET)
    await expect(world.client.readResponse({ timeoutMs: 50 })).rejects.toThrow(/within 50 ms/)
    expect(world.upstream.requestCount).toBe(0)
    world.relay.heal()
    await world.upstream.waitForRequests(1)
    await waitFor(() => world.client.received.includes('ok'), 'answer')
  })

  test('half-closes towards the client while the other way stays open', async () => {
    await using world = await startWorld()
    world.relay.halfClose('down')
    expect(await world.client.waitForClose()).toBe('fin')
    await world.client.send(GET)
    await world.upstream.waitForRequests(1)
  })

  test('resets at once', async () => {
    await using world = await startWorld()
    world.relay.resetAll()
    expect(await world.client.waitForClose()).toBe('reset')
    expect(await world.upstream.connections[0]?.peerEnded).toBe('reset')
  })

  test('refuses new connections, keeps open ones, and accepts again on the same port', async () => {
    await using world = await startWorld()
    const { port } = world.relay
    world.relay.refuse()
    await expect(connectRaw(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await world.client.request(GET)).status).toBe(200)
    await world.relay.accept()
    expect(world.relay.port).toBe(port)
    await using again = await connectRaw(port)
    expect((await again.request(GET)).status).toBe(200)
  })

  test('a target that is not there is a reset for the client', async () => {
    await using world = await startWorld()
    await world.upstream.close()
    await using client = await connectRaw(world.relay.port)
    expect(await client.waitForClose()).toBe('reset')
  })

  test('never holds more than its bound for a client that does not read', async () => {
    const total = 32 * 1024 * 1024
    await using world = await startWorld()
    world.upstream.respond([rawResponse({ headers: [['Content-Length', String(total)]] }), step.pour(total)])
    world.relay.set({ hold: true }, 'down')
    await world.client.send(GET)
    await world.upstream.waitForRequests(1)
    const socket = world.upstream.connections[0]?.socket
    let before = -1
    await waitFor(async () => {
      const isStill = socket?.bytesWritten === before
      before = socket?.bytesWritten ?? 0
      await new Promise((resolve) => { setTimeout(resolve, 50) })
      return isStill
    }, 'back-pressure')
    expect(before).toBeLessThan(total / 2)
  })
})

interface World extends AsyncDisposable { upstream: RawUpstream; relay: Relay; client: RawClient }

async function startWorld(): Promise<World> {
  const upstream = await startRawUpstream()
  const relay = await startRelay(upstream.url)
  const client = await connectRaw(relay.port)
  await upstream.waitForConnections(1)
  return {
    upstream, relay, client,
    async [Symbol.asyncDispose]() {
      client.close()
      await relay.close()
      await upstream.close()
    },
  }
}
