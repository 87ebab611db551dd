import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { watchCrashes } from '../support/crash-oracle.ts'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { rawResponse, step } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'

const MEGABYTE = 1_048_576
const get = (target: string, extra = ''): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${extra}\r\n`

async function repeat(count: number, action: (n: number) => Promise<void>): Promise<void> {
  const width = 20
  for (let at = 0; at < count; at += width) await Promise.all(Array.from({ length: Math.min(width, count - at) }, (_, n) => action(at + n)))
}

async function letGo(world: World, what: string): Promise<void> {
  await waitFor(() => world.upstream.openConnections.length <= 1, () => `${what} to be let go (${world.upstream.openConnections.length} upstream connections)`)
}

describe('CL1: a head that does not come', () => {
  test.each([
    ['nothing at all', ''],
    ['half a request line', 'GET / HT'],
    ['half a head', 'GET / HTTP/1.1\r\nHost: a\r\nX: '],
  ])('%s: 408 and the end, others are served meanwhile', async (_what, bytes) => {
    await using world = await startWorld({ limits: { headersTimeout: '300ms' } })
    await using client = await connectRaw(world.url)
    await client.send(bytes)
    expect((await world.client.get('/')).status).toBe(200)
    const startedAt = performance.now()
    const answer = (await client.readAll()).toString()
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(answer === '' ? 'closed' : answer.slice(0, 12)).toMatch(/^(closed|HTTP\/1\.1 408)$/)
  })

  test('one byte now and then does not help', async () => {
    await using world = await startWorld({ limits: { headersTimeout: '300ms' } })
    await using client = await connectRaw(world.url)
    await client.send('GET / HTTP/1.1\r\nX: ')
    const drip = setInterval(() => void client.send('x'), 50)
    expect((await client.readResponse()).status).toBe(408)
    await client.waitForClose()
    clearInterval(drip)
    expect(world.upstream.connectionCount).toBe(0)
  })

  test('the next head on a kept connection has the same limit', async () => {
    await using world = await startWorld({ limits: { headersTimeout: '300ms' } })
    await using client = await connectRaw(world.url)
    expect((await client.request(get('/'))).status).toBe(200)
    await client.send('GET / HTTP/1.1\r\nX: ')
    expect((await client.readResponse()).status).toBe(408)
    await client.waitForClose()
  })
})

describe('CL2: a body that hardly comes', () => {
  test('none for bodyIdleTimeout: 408, the upstream sees an abort', async () => {
    await using world = await startWorld({ limits: { bodyIdleTimeout: '200ms' } })
    await using client = await connectRaw(world.url)
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
    expect((await client.readResponse()).status).toBe(408)
    await client.waitForClose(7_000)
    const [request] = await world.upstream.waitForRequests(1)
    expect(request?.truncated).toBe(true)
  })

  test('not even its first byte: 408', async () => {
    await using world = await startWorld({ limits: { bodyIdleTimeout: '200ms' } })
    await using client = await connectRaw(world.url)
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect((await client.readResponse()).status).toBe(408)
    await client.waitForClose(7_000)
  })

  test('a byte now and then, below minBodyRate: 408 after the grace of 10 s; a client above it is served', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    await using world = await startWorld({ limits: { minBodyRate: 100 } })
    for (const { piece, status } of [{ piece: 50, status: 408 }, { piece: 600, status: 200 }]) {
      await using client = await connectRaw(world.url)
      await client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${piece * 4}\r\n\r\n`)
      for (let sent = 0; sent < 4 && client.received.length === 0; sent++) {
        await client.send('x'.repeat(piece))
        const isThere = (): boolean => world.upstream.connections.some(({ received }) => received.toString('latin1').endsWith(`\n${'x'.repeat(piece * (sent + 1))}`))
        await waitFor(() => isThere() || client.received.length > 0, 'the piece to arrive')
        vi.advanceTimersByTime(5_500)
      }
      expect((await client.readResponse()).status).toBe(status)
    }
  })

  test('minBodyRate does not blame a client for an upstream that does not read', async () => {
    await using world = await startWorld({ limits: { minBodyRate: 1_000_000, maxBody: '100MB' } })
    world.upstream.respond([step.delay(300), rawResponse({ body: 'ok' })])
    expect((await world.client.post('/', { body: Buffer.alloc(20 * MEGABYTE) })).status).toBe(200)
  })
})

describe('CL3, CL4, CL5: a client that leaves, at any point', () => {
  test('CL3: in the middle of its body: the upstream sees an abort, not an end, and no answer counts', async () => {
    await using world = await startWorld()
    world.upstream.respond([step.bodyRead(), rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'late' })])
    for (const head of ['Content-Length: 1000000', 'Transfer-Encoding: chunked']) {
      const client = await connectRaw(world.url)
      await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n2710\r\n${'x'.repeat(10_000)}\r\n`)
      await waitFor(() => world.upstream.openConnections.some(({ received }) => received.length > 10_000), 'the upload to begin')
      client.close()
      await letGo(world, 'the upload')
    }
    for (const request of world.upstream.requests) expect(request.truncated).toBe(true)
    expect((await world.metrics.registry.metrics())).not.toMatch(/commits_total\{outcome="created"\} [1-9]/)
  })

  test('CL4: after the request, before the answer: the upstream is told', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce(step.stall())
    const client = await connectRaw(world.url)
    await client.send(get('/'))
    const [request] = await world.upstream.waitForRequests(1)
    client.close()
    await request?.connection.closed
    await waitFor(() => world.log.some(({ status }) => status === 499), 'the log line')
  })

  test('CL4: during the commit: what the app asked for is stored, once', async () => {
    await using world = await startWorld()
    const create = world.store.create.bind(world.store)
    let begin = (): void => undefined
    const begun = new Promise<void>((resolve) => { begin = resolve })
    let finish = (): void => undefined
    const finished = new Promise<void>((resolve) => { finish = resolve })
    let created = 0
    world.store.create = async (...parameters) => {
      begin()
      await finished
      created++
      return create(...parameters)
    }
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"a":1}']], body: 'late' }))
    const client = await connectRaw(world.url)
    await client.send(get('/'))
    await begun
    client.reset()
    await waitFor(() => world.listener.connections() === 0, 'the client to be gone')
    finish()
    await waitFor(async () => /commits_total\{outcome="created"\} 1/.test(await world.metrics.registry.metrics()), 'the commit')
    expect(created).toBe(1)
    expect((await world.client.get('/')).status).toBe(200)
  })

  test('CL5: in the middle of an answer, a hundred times', async () => {
    await using world = await startWorld()
    world.upstream.respond((request) => request.target === '/large' ? ['HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n', step.pour(5_000_000)] : rawResponse({ body: 'ok' }))
    await world.client.get('/')
    using oracle = watchCrashes({ extraDescriptors: 2, growthBytes: 32 * MEGABYTE })
    await repeat(100, async (n) => {
      const client = await connectRaw(world.url, { keep: false })
      await client.send(get('/large'))
      await client.read()
      client.pause()
      if (n % 2 === 0) client.reset()
      else client.close()
    })
    await letGo(world, 'the answers')
    expect((await world.client.get('/')).status).toBe(200)
    await oracle.assertClean()
  })
})

describe('CL6: pipelining', () => {
  test('answers come in order, each with its own session', async () => {
    await using world = await startWorld()
    const cookies: string[] = []
    for (const name of ['ann', 'bob']) {
      world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', `{"user":{"id":"${name}"}}`]], body: 'in' }))
      const client = world.newClient()
      await client.get('/login')
      cookies.push(client.jar.headerFor('/'))
    }
    world.upstream.respond(async (request) => {
      const [, payload = ''] = (request.header('x-session-assertion') ?? '').split('.')
      const { data } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { data: { user?: { id: string } } }
      const answer = rawResponse({ body: `${request.method} ${request.target} ${data.user?.id ?? 'nobody'} ${request.body.toString()}` })
      return request.target === '/slow' ? [step.delay(100), answer] : answer
    })
    await using client = await connectRaw(world.url)
    await client.send([
      get('/slow', `Cookie: ${cookies[0]}\r\n`), get('/fast', `Cookie: ${cookies[1]}\r\n`),
      `POST /post HTTP/1.1\r\nHost: a\r\nCookie: ${cookies[0]}\r\nContent-Length: 4\r\n\r\nbody`, get('/none'),
    ].join(''))
    const answers: string[] = []
    for (let n = 0; n < 4; n++) answers.push((await client.readResponse()).text)
    expect(answers).toEqual(['GET /slow ann ', 'GET /fast bob ', 'POST /post ann body', 'GET /none nobody '])
  })

  test('one connection takes one connection of the upstream, however much it pipelines', async () => {
    await using world = await startWorld()
    world.upstream.respond([step.delay(5), rawResponse({ body: 'ok' })])
    await using client = await connectRaw(world.url)
    await client.send(get('/').repeat(50))
    for (let n = 0; n < 50; n++) expect((await client.readResponse()).status).toBe(200)
    expect(world.upstream.connectionCount).toBeLessThanOrEqual(2)
  })

  test('a hundred at once, cut in the middle, leave nothing behind', async () => {
    await using world = await startWorld()
    await world.client.get('/')
    using oracle = watchCrashes({ extraDescriptors: 2, growthBytes: 32 * MEGABYTE, settleMs: 6_000 })
    await repeat(20, async () => {
      const client = await connectRaw(world.url)
      await client.send(get('/').repeat(100))
      await client.readResponse()
      client.reset()
    })
    await waitFor(() => world.listener.connections() <= 1, 'the clients to be gone')
    const startedAt = performance.now()
    await world.reconfigure({})                                      // resolves when the last request of the old generation is over
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    await oracle.assertClean()
  })
})

test('CL7: a client that ends its side has left: no answer, the upstream is told (docs/limits.md)', async () => {
  await using world = await startWorld()
  world.upstream.respondOnce(step.stall())
  await using client = await connectRaw(world.url)
  await client.send(get('/'))
  const [request] = await world.upstream.waitForRequests(1)
  client.halfClose()
  await client.waitForClose()
  await request?.connection.closed
})

describe('CL8: connections that are no HTTP', () => {
  const openings: ReadonlyArray<readonly [string, (client: RawClient) => Promise<void>]> = [
    ['reset at once', async (client) => client.reset()],
    ['closed at once', async (client) => client.close()],
    ['a TLS hello', (client) => client.send(Buffer.from('16030100c8010000c40303', 'hex'))],
    ['an HTTP/2 preface', (client) => client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['noise', (client) => client.send(Buffer.from([0, 1, 2, 3, 255, 13, 10, 13, 10]))],
    ['an SSH greeting', (client) => client.send('SSH-2.0-OpenSSH_9.2p1\r\n')],
  ]
  test.each(openings)('%s, fifty times: 4xx or closed, clean', async (_what, act) => {
    await using world = await startWorld()
    await world.client.get('/')
    using oracle = watchCrashes({ extraDescriptors: 2 })
    await repeat(50, async () => {
      const client = await connectRaw(world.url)
      await act(client)
      if (client.isOpen) expect((await client.readAll()).toString()).toMatch(/^(HTTP\/1\.1 (4\d\d|505) |$)/)
      client.close()
    })
    await waitFor(() => world.listener.connections() <= 1, 'the connections to be closed')
    expect(world.upstream.requestCount).toBe(1)
    await oracle.assertClean()
  })
})

describe('CL9: a client that does not read', () => {
  test('is cut after responseIdleTimeout, its upstream let go, and held little memory', async () => {
    await using world = await startWorld({ limits: { responseIdleTimeout: '400ms' } })
    world.upstream.respond(['HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n', step.pour(100_000_000)])
    await using client = await connectRaw(world.url, { keep: false })
    client.pause()
    await client.send(get('/'))
    const [request] = await world.upstream.waitForRequests(1)
    await request?.connection.closed
    expect(request?.connection.socket.bytesWritten).toBeLessThan(50_000_000)
    client.resume()
    expect((await client.readResponse()).truncated).toBe(true)
  })

  test('one that reads in gulps is not', async () => {
    await using world = await startWorld({ limits: { responseIdleTimeout: '400ms' } })
    world.upstream.respond(['HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n', step.pour(30_000_000)])
    await using client = await connectRaw(world.url, { keep: false })
    const gulps = setInterval(() => {
      client.resume()
      setTimeout(() => client.pause(), 20)
    }, 100)
    await client.send(get('/'))
    const reply = await client.readResponse({ timeoutMs: 15_000 })
    clearInterval(gulps)
    client.resume()
    expect(reply.body.length).toBe(30_000_000)
  })
})
