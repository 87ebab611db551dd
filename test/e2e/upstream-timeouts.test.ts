import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { makeLeaf, testCertificates } from '../support/certificates.ts'
import { connectRaw } from '../support/raw-client.ts'
import { rawResponse, startRawUpstream, step } from '../support/raw-upstream.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const SLACK_MS = 100
/** What a busy machine may add before it is the gateway's fault. */
const NOISE_MS = 150

async function timed<T>(action: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const startedAt = performance.now()
  const value = await action()
  return { value, ms: performance.now() - startedAt }
}

function codes(world: World): unknown[] {
  return world.log.filter(({ msg }) => msg === 'request').map(({ code }) => code)
}

const LISTEN_AND_SLEEP = `
import socket, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
print(listener.getsockname()[1], flush=True)
time.sleep(60)`

/** A listener that never accepts and whose queue is full, so that further connections neither succeed nor fail. */
async function startBlackHole(): Promise<AsyncDisposable & { readonly url: string }> {
  const child = startProcess('python3', ['-c', LISTEN_AND_SLEEP])
  const port = Number(await child.waitForLine(/^\d+$/))
  const fillers = [1, 2, 3].map(() => connect({ port, host: '127.0.0.1' }).on('error', () => undefined))
  await waitFor(() => fillers.some(({ connecting }) => !connecting), 'a full queue')
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy()
      await child.kill()
    },
  }
}

describe('UP1: no connection, no answer: 502 at once, session untouched', () => {
  test('refused', async () => {
    const port = await freePort()
    await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${port}`] } })
    const { value, ms } = await timed(() => world.client.get('/'))
    expect(value.status).toBe(502)
    expect(value.json()).toMatchObject({ code: 'ERR_UPSTREAM_CONNECT' })
    expect(value.body).not.toContain(String(port))
    expect(ms).toBeLessThan(1_000)
  })

  test('a name that does not resolve', async () => {
    await using world = await startWorld({ upstream: { targets: ['http://no-such-host.invalid:80'], timeouts: { connect: '5s' } } })
    expect((await world.client.get('/')).status).toBe(502)
    expect(codes(world)).toEqual(['ERR_UPSTREAM_CONNECT'])
  })

  test('TLS: a plain server, a foreign authority, a foreign name', async () => {
    await using plain = await startRawUpstream()
    plain.greet([rawResponse({ status: 400 }), step.end()])
    await using tls = await startRawUpstream(undefined, { tls: testCertificates().server })
    await using foreign = await startRawUpstream(undefined, { tls: makeLeaf({ names: ['elsewhere.example'] }) })
    const { caFile } = testCertificates()
    const cases = [
      { targets: [`https://127.0.0.1:${plain.port}`], tls: { caFile } },
      { targets: [tls.url] },
      { targets: [foreign.url], tls: { caFile } },
    ]
    for (const upstream of cases) {
      await using world = await startWorld({ upstream })
      expect((await world.client.get('/')).status).toBe(502)
      expect(codes(world)).toEqual(['ERR_UPSTREAM_CONNECT'])
    }
    expect(tls.requestCount + foreign.requestCount).toBe(0)
  })

  test('a unix socket that is not there', async () => {
    await using world = await startWorld({ upstream: { targets: ['unix:/nowhere/at/all.sock'] } })
    expect((await world.client.get('/')).status).toBe(502)
  })
})

describe('each wait has its own limit and its own answer, at most 100 ms late', { retry: 2 }, () => {
  test('connect: 504', async () => {
    await using hole = await startBlackHole()
    await using world = await startWorld({ upstream: { targets: [hole.url], timeouts: { connect: '300ms' } } })
    const { value, ms } = await timed(() => world.client.get('/'))
    expect(value.status).toBe(504)
    expect(ms).toBeGreaterThan(290)
    expect(ms).toBeLessThan(300 + SLACK_MS + NOISE_MS)
    expect(codes(world)).toEqual(['ERR_UPSTREAM_TIMEOUT'])
  })

  test('connect: the next target is asked, and the deaf one is left out', async () => {
    await using hole = await startBlackHole()
    await using other = await startRawUpstream()
    await using world = await startWorld({ upstream: { targets: [hole.url, other.url], timeouts: { connect: '100ms' }, health: { failures: 1, cooldown: '1h' } } })
    const statuses = [await world.client.get('/1'), await world.client.get('/2'), await world.client.get('/3')].map(({ status }) => status)
    expect(statuses).toEqual([200, 200, 200])
    const { ms } = await timed(() => world.client.get('/4'))
    expect(ms).toBeLessThan(90)
  })

  test('UP2 firstByte: 504, and the upstream is let go', async () => {
    await using world = await startWorld({ upstream: { timeouts: { firstByte: '300ms' } } })
    world.upstream.respondOnce(step.stall())
    const { value, ms } = await timed(() => world.client.get('/'))
    expect(value.status).toBe(504)
    expect(value.json()).toMatchObject({ code: 'ERR_UPSTREAM_TIMEOUT' })
    expect(ms).toBeGreaterThan(290)
    expect(ms).toBeLessThan(300 + SLACK_MS + NOISE_MS)
    await world.upstream.connections[0]?.closed
    expect((await world.client.get('/')).status).toBe(200)
  })

  test('firstByte: an interim answer is not the answer', async () => {
    await using world = await startWorld({ upstream: { timeouts: { firstByte: '200ms' } } })
    world.upstream.respondOnce(['HTTP/1.1 103 Early Hints\r\n\r\n', step.stall()])
    expect((await world.client.get('/')).status).toBe(504)
  })

  test('firstByte: an upstream that stops reading the body is to blame, not the client', async () => {
    await using world = await startWorld({ upstream: { timeouts: { firstByte: '300ms' } }, limits: { bodyIdleTimeout: '10s', maxBody: '100MB' } })
    world.upstream.respond((_request, connection) => { connection.socket.pause() }, { when: 'head' })
    const { value, ms } = await timed(() => world.client.post('/', { body: Buffer.alloc(32 * 1_048_576) }))
    expect(value.status).toBe(504)
    expect(ms).toBeLessThan(3_000)
    world.upstream.connections[0]?.socket.resume()
  })

  test('UP3 idle: headers, then silence: the client is cut', async () => {
    await using world = await startWorld({ upstream: { timeouts: { idle: '300ms' } } })
    world.upstream.respondOnce(['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', step.stall()])
    await using client = await connectRaw(world.url)
    const { value, ms } = await timed(() => client.request(GET))
    expect(value).toMatchObject({ status: 200, truncated: true, text: 'abc' })
    expect(ms).toBeGreaterThan(290)
    expect(ms).toBeLessThan(300 + SLACK_MS + NOISE_MS)
    await world.upstream.connections[0]?.closed
  })

  test('idle: counts from the last piece', async () => {
    await using world = await startWorld({ upstream: { timeouts: { idle: '200ms' } } })
    world.upstream.respondOnce(['HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n', step.drip('0123456789', 60)])
    expect(await world.client.get('/')).toMatchObject({ status: 200, body: '0123456789' })
  })

  test('total: 504 before the head, a cut after it', async () => {
    await using world = await startWorld({ upstream: { timeouts: { total: '300ms' } } })
    world.upstream.respondOnce(step.stall(), ['HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', step.drip('x'.repeat(1_000), 20)])
    const before = await timed(() => world.client.get('/'))
    expect(before.value.status).toBe(504)
    expect(before.ms).toBeLessThan(300 + SLACK_MS + NOISE_MS)
    await using client = await connectRaw(world.url)
    const after = await timed(() => client.request(GET))
    expect(after.value).toMatchObject({ status: 200, truncated: true })
    expect(after.ms).toBeLessThan(300 + SLACK_MS + NOISE_MS)
  })

  test('a route\'s own limits come before the upstream\'s; zero means none', async () => {
    await using world = await startWorld({
      upstream: { timeouts: { firstByte: '100ms', idle: '100ms' } },
      routes: [{ path: '/' }, { path: '/slow', timeouts: { firstByte: '10s', idle: '0ms' } }],
    })
    world.upstream.respond([step.delay(250), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no', step.delay(250), 'k'])
    expect((await world.client.get('/')).status).toBe(504)
    expect(await world.client.get('/slow')).toMatchObject({ status: 200, body: 'ok' })
  })

  test('a full pool: 504 after the connect limit; whoever waited leaves the busy connections alone', async () => {
    await using world = await startWorld({ upstream: { connections: 1, timeouts: { connect: '150ms' } } })
    let letGo = (): void => undefined
    const held = new Promise<void>((resolve) => { letGo = resolve })
    world.upstream.respondOnce([step.wait(held), rawResponse({ body: 'first' })])
    const first = world.client.get('/first')
    await world.upstream.waitForRequests(1)
    const { value, ms } = await timed(() => world.client.get('/second'))
    expect(value.status).toBe(504)
    expect(ms).toBeLessThan(150 + SLACK_MS + NOISE_MS)
    letGo()
    expect(await first).toMatchObject({ status: 200, body: 'first' })
    expect(await world.client.get('/third')).toMatchObject({ status: 200 })
    expect(world.upstream.connectionCount).toBe(1)
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/first', '/third'])
  })
})
