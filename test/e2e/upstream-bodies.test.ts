import { createHash, randomBytes } from 'node:crypto'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { watchCrashes } from '../support/crash-oracle.ts'
import { connectRaw } from '../support/raw-client.ts'
import { chunkedBody, rawResponse, step } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import type { HeaderList } from '../support/http-framing.ts'
import { startWorld } from '../support/world.ts'

const MEGABYTE = 1_048_576

describe('UP14: bodies arrive byte for byte', () => {
  const plain = randomBytes(200_000)
  const kinds: ReadonlyArray<readonly [string, Buffer, HeaderList]> = [
    ['identity', plain, [['ETag', '"a-b"'], ['Accept-Ranges', 'bytes']]],
    ['gzip', gzipSync(plain), [['Content-Encoding', 'gzip'], ['ETag', 'W/"z"'], ['Vary', 'Accept-Encoding']]],
    ['br', brotliCompressSync(plain.subarray(0, 20_000)), [['Content-Encoding', 'br']]],
    ['every octet, short', Buffer.from(Array.from({ length: 256 }, (_, n) => n)), []],
    ['one byte', Buffer.from([0xff]), []],
    ['nothing', Buffer.alloc(0), []],
  ]
  test.each(kinds)('%s, with a length and chunked', async (_kind, body, headers) => {
    await using world = await startWorld()
    await using client = await connectRaw(world.url)
    const pieces = Array.from({ length: Math.ceil(body.length / 7_001) }, (_, n) => body.subarray(n * 7_001, (n + 1) * 7_001))
    for (const answer of [rawResponse({ headers, body }), rawResponse({ headers, chunks: pieces })]) {
      world.upstream.respondOnce(answer)
      const reply = await client.request('GET /file HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\nIf-None-Match: "x"\r\n\r\n')
      expect(reply.body.equals(body)).toBe(true)
      for (const [name, value] of headers) if (name !== 'Vary') expect(reply.header(name)).toBe(value)
      expect(world.upstream.lastRequest.header('accept-encoding')).toBe('gzip, br')
      expect(world.upstream.lastRequest.header('if-none-match')).toBe('"x"')
    }
  })

  test('ranges: 206, 416 and several parts', async () => {
    await using world = await startWorld()
    world.upstream.respond((request) => rawResponse({ status: 206, reason: 'Partial Content', headers: [['Content-Range', 'bytes 2-4/10']], body: request.header('range') ?? '' }))
    const reply = await world.client.get('/', { headers: { range: 'bytes=2-4,6-', 'if-range': '"e"' } })
    expect(reply).toMatchObject({ status: 206, body: 'bytes=2-4,6-' })
    expect(reply.header('content-range')).toBe('bytes 2-4/10')
    expect(world.upstream.lastRequest.header('if-range')).toBe('"e"')
  })

  test('request bodies: with a length and chunked, over kept connections', async () => {
    await using world = await startWorld({ limits: { maxBody: '10MB' } })
    for (const size of [1, 16_384, 65_537, 3 * MEGABYTE]) {
      const body = randomBytes(size)
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
        expect((await world.client.put('/', { body, headers })).status).toBe(200)
        expect(world.upstream.lastRequest.body.equals(body)).toBe(true)
      }
    }
    expect(world.upstream.connectionCount).toBe(1)
  })
})

describe('UP12: what trickles is passed on at once', () => {
  test('the head is there before the first byte of the body', async () => {
    await using world = await startWorld()
    let letGo = (): void => undefined
    const seen = new Promise<void>((resolve) => { letGo = resolve })
    world.upstream.respondOnce(['HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n', step.wait(seen), chunkedBody(['data: 1\n\n'])])
    await using client = await connectRaw(world.url)
    void client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await waitFor(() => client.received.includes('\r\n\r\n'), 'the head')
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    letGo()
    expect((await client.readResponse()).text).toBe('data: 1\n\n')
  })

  test('each event is there before the next one is sent', async () => {
    await using world = await startWorld({ upstream: { timeouts: { idle: '0ms' } } })
    await using client = await connectRaw(world.url)
    const events = Array.from({ length: 20 }, (_, n) => `data: event ${n}\n\n`)
    const steps = events.flatMap((event) => [chunkedBody([event]).subarray(0, -5), step.wait(() => client.received.includes(event))])
    world.upstream.respondOnce(['HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n', ...steps, '0\r\n\r\n'])
    expect((await client.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).text).toBe(events.join(''))
  })

  test('an upload in pieces reaches the upstream piece by piece', async () => {
    await using world = await startWorld()
    await using client = await connectRaw(world.url)
    void client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (const word of ['one', 'two', 'three']) {
      void client.send(`${word.length}\r\n${word}\r\n`)
      await waitFor(() => world.upstream.connections[0]?.received.includes(word), word)
    }
    void client.send('0\r\n\r\n')
    expect((await client.readResponse()).status).toBe(200)
    expect(world.upstream.lastRequest.body.toString()).toBe('onetwothree')
  })

  test('a long poll ends when the client goes', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce(step.stall())
    await using client = await connectRaw(world.url)
    void client.send('GET /poll HTTP/1.1\r\nHost: a\r\n\r\n')
    const [request] = await world.upstream.waitForRequests(1)
    client.close()
    await request?.connection.closed
  })

  test('both directions at once: the answer streams while the request still does', async () => {
    await using world = await startWorld()
    await using client = await connectRaw(world.url)
    world.upstream.respond(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '3\r\nyes\r\n', step.bodyRead(), '4\r\ndone\r\n0\r\n\r\n'], { when: 'head' })
    void client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
    await waitFor(() => client.received.includes('yes'), 'the first half of the answer')
    void client.send('3\r\ndef\r\n0\r\n\r\n')
    expect((await client.readResponse()).text).toBe('yesdone')
    expect(world.upstream.lastRequest.body.toString()).toBe('abcdef')
  })
})

describe('UP8: a final answer before the body was read', () => {
  const size = 10 * MEGABYTE
  const upload = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`

  test.each([
    ['and goes on reading nothing', []],
    ['and closes', [step.end()]],
    ['and says so', [step.end()]],
  ] as const)('the upstream answers 413 %s: the client can read it while it sends, and afterwards', async (what, after) => {
    await using world = await startWorld({ limits: { maxBody: '100MB' } })
    const headers: HeaderList = what === 'and says so' ? [['Connection', 'close']] : []
    world.upstream.respond([rawResponse({ status: 413, reason: 'Too Large', headers, body: 'no' }), ...after], { when: 'head' })
    await using client = await connectRaw(world.url)
    void client.send(upload)
    const sent = client.send(Buffer.alloc(size, 'u'))
    const reply = await client.readResponse()
    expect(reply).toMatchObject({ status: 413, text: 'no', truncated: false })
    await sent
    world.upstream.respond(rawResponse({ body: 'next' }))
    expect(await client.request('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')).toMatchObject({ status: 200, text: 'next' })
    await waitFor(() => world.upstream.openConnections.length <= 1, 'the abandoned upload to be let go')
  })

  test('a client that keeps sending a body nobody wants is cut after a moment', async () => {
    await using world = await startWorld({ limits: { maxBody: '100MB' } })
    world.upstream.respond(rawResponse({ status: 401, body: 'no' }), { when: 'head' })
    await using client = await connectRaw(world.url)
    void client.send(upload)
    const drip = setInterval(() => void client.send('x'), 100)
    expect((await client.readResponse()).status).toBe(401)
    await client.waitForClose(7_000)
    clearInterval(drip)
  })

  test.each([
    ['a length', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`, Buffer.alloc(size)],
    ['chunks', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', chunkedBody([Buffer.alloc(size)])],
  ])('RX4: our own 413 for %s: readable, and the upstream sees no end of the body', async (_framing, head, body) => {
    await using world = await startWorld({ limits: { maxBody: '1MB' } })
    await using client = await connectRaw(world.url)
    void client.send(head)
    const sent = client.send(body)
    expect((await client.readResponse()).status).toBe(413)
    await sent
    expect((await world.client.get('/next')).status).toBe(200)
    for (const request of world.upstream.requests) if (request.method === 'POST') expect(request.truncated).toBe(true)
  })
})

describe('UP13: back-pressure both ways', { retry: 1 }, () => {
  const total = 64 * MEGABYTE

  /** The count once it has not moved for half a second: two looks that agree may just be a pause for breath. */
  async function standstillOf(count: () => number): Promise<number> {
    let last = -1
    let since = performance.now()
    await waitFor(() => {
      const now = count()
      if (now !== last) since = performance.now()
      last = now
      return performance.now() - since > 500
    }, 'a standstill', 15_000)
    return last
  }

  test('a reader that stops stops the upstream', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce([`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`, step.pour(total)])
    await using client = await connectRaw(world.url, { keep: false })
    client.pause()
    void client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await world.upstream.waitForRequests(1)
    const socket = world.upstream.connections[0]?.socket
    expect(await standstillOf(() => socket?.bytesWritten ?? 0)).toBeLessThan(total / 2)
    client.resume()
    expect((await client.readResponse({ timeoutMs: 20_000 })).body.length).toBe(total)
  })

  test('an upstream that stops reading stops the client', async () => {
    await using world = await startWorld({ limits: { maxBody: '100MB' } })
    world.upstream.respond((_request, connection) => { connection.socket.pause() }, { when: 'head' })
    await using client = await connectRaw(world.url)
    void client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`)
    for (let n = 0; n < total / MEGABYTE; n++) void client.send(Buffer.alloc(MEGABYTE))
    await world.upstream.waitForRequests(1)
    expect(await standstillOf(() => client.socket.writableLength)).toBeGreaterThan(total / 2)
    world.upstream.respond(rawResponse({ body: 'ok' }))
    world.upstream.connections[0]?.socket.resume()
    await world.upstream.lastRequest.complete
    expect(world.upstream.lastRequest.body.length).toBe(total)
    await world.upstream.connections[0]?.send(rawResponse({ body: 'ok' }))
    expect((await client.readResponse()).status).toBe(200)
  })
})

test('a large answer is whole, whatever pieces it comes in', async () => {
  await using world = await startWorld()
  const body = randomBytes(5 * MEGABYTE)
  const digest = createHash('sha256').update(body).digest('hex')
  using oracle = watchCrashes({ extraDescriptors: 8, growthBytes: 64 * MEGABYTE })
  for (const size of [1_000, 70_000, 5 * MEGABYTE]) {
    const pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, n) => body.subarray(n * size, (n + 1) * size))
    world.upstream.respondOnce(rawResponse({ chunks: pieces }))
    const reply = await world.client.get('/')
    expect(createHash('sha256').update(reply.bytes).digest('hex')).toBe(digest)
  }
  await oracle.assertClean()
})
