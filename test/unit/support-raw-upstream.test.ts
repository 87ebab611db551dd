import { request as requestHttp } from 'node:http'
import { describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { connectRaw, NoResponseError, rawRequest } from '../support/raw-client.ts'
import { acceptUpgrade, chunkedBody, echoJson, rawResponse, startRawUpstream, step } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('what the upstream records', () => {
  test('the request exactly as it was sent, in order, with its bytes', async () => {
    await using upstream = await startRawUpstream()
    const sent = 'POST /a?b=%2F HTTP/1.1\r\nhost: x\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 3\r\n\r\n\x00\xff!'
    expect(await rawRequest(upstream.port, sent)).toMatchObject({ status: 200, text: 'ok', truncated: false })

    const seen = upstream.lastRequest
    expect(seen).toMatchObject({ method: 'POST', target: '/a?b=%2F', version: 'HTTP/1.1', body: Buffer.from([0, 255, 33]), truncated: false })
    expect(seen.headers).toEqual([['host', 'x'], ['X-Two', '1'], ['x-two', '2'], ['Content-Length', '3']])
    expect(seen.fields).toMatchObject({ 'x-two': '1, 2' })
    expect(seen.rawBytes.toString('latin1')).toBe(sent)
    expect(seen.connection.received.toString('latin1')).toBe(sent)
  })

  test('pipelined requests, each with its own bytes, answered in order', async () => {
    await using upstream = await startRawUpstream(echoJson())
    await using client = await connectRaw(upstream.url)
    const chunked = `POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBody(['he', 'llo'], [['T', '1']]).toString('latin1')}`
    await client.send(`GET /1 HTTP/1.1\r\nHost: a\r\n\r\n${chunked}`)
    expect((await client.readResponse()).json()).toMatchObject({ target: '/1', connection: 0, index: 0 })
    expect((await client.readResponse()).json()).toMatchObject({ target: '/2', body: 'hello', connection: 0, index: 1 })
    const [, second] = await upstream.waitForRequests(2)
    expect(second?.rawBytes.toString('latin1')).toBe(chunked)
    expect(second?.trailers).toEqual([['T', '1']])
  })

  test('a request that its client cut is kept as truncated and never answered', async () => {
    await using upstream = await startRawUpstream()
    await using client = await connectRaw(upstream.url)
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    client.reset()
    const [request] = await upstream.waitForRequests(1)
    expect(request).toMatchObject({ truncated: true, body: Buffer.from('half') })
    expect(await request?.connection.peerEnded).toBe('reset')
  })

  test('ambiguous framing is recorded as such and answered 400', async () => {
    await using upstream = await startRawUpstream()
    const reply = await rawRequest(upstream.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(reply.status).toBe(400)
    expect(upstream.lastRequest.framingError?.message).toMatch(/both/)
  })

  test('only the latest requests when told so', async () => {
    await using upstream = await startRawUpstream(echoJson(), { keepRequests: 2, keepBytes: false })
    for (let at = 0; at < 5; at++) await rawRequest(upstream.port, `GET /${at} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/3', '/4'])
    expect(upstream.requestCount).toBe(5)
    await waitFor(() => upstream.connections.length === 0, 'forgotten connections')
    expect(upstream.connectionCount).toBe(5)
  })
})

describe('what the upstream answers', () => {
  test('once-only answers come first, then the script', async () => {
    await using upstream = await startRawUpstream()
    upstream.respondOnce(rawResponse({ status: 500, reason: 'Broken' }), [rawResponse({ headers: [['Content-Length', '10']], body: 'cut' }), step.reset()])
    expect(await rawRequest(upstream.port, `${GET}`, { method: 'HEAD' })).toMatchObject({ status: 500, reason: 'Broken' })
    expect(await rawRequest(upstream.port, GET)).toMatchObject({ status: 200, body: Buffer.from('cut'), truncated: true })
    expect(await rawRequest(upstream.port, GET)).toMatchObject({ text: 'ok' })
  })

  test('a reset is seen as ECONNRESET by node:http', async () => {
    await using upstream = await startRawUpstream([step.reset()])
    const failed = new Promise((_resolve, reject) => { requestHttp(upstream.url).on('error', reject).end() })
    await expect(failed).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('an end without an answer is a FIN, a reset is a reset', async () => {
    await using upstream = await startRawUpstream([step.end()])
    await expect(rawRequest(upstream.port, GET)).rejects.toMatchObject({ ending: 'fin' })
    upstream.respond([step.reset()])
    await expect(rawRequest(upstream.port, GET)).rejects.toMatchObject({ ending: 'reset' })
    await expect(rawRequest(upstream.port, GET)).rejects.toThrow(NoResponseError)
  })

  test('waits for a signal between head and body', async () => {
    let released = false
    await using upstream = await startRawUpstream([rawResponse({ headers: [['Content-Length', '2']] }), step.wait(() => released), 'hi'])
    await using client = await connectRaw(upstream.url)
    await client.send(GET)
    expect((await client.read()).toString()).toMatch(/Content-Length: 2\r\n\r\n$/)
    released = true
    expect((await client.read()).toString()).toBe('hi')
  })

  test('stalls until the client goes, and then lets go', async () => {
    await using upstream = await startRawUpstream([step.stall()])
    await using client = await connectRaw(upstream.url)
    await client.send(GET)
    const [request] = await upstream.waitForRequests(1)
    expect(client.received).toHaveLength(0)
    client.halfClose()
    expect(await client.waitForClose()).toBe('fin')
    await request?.connection.closed
    expect(upstream.openConnections).toHaveLength(0)
  })

  test('drips byte by byte', async () => {
    await using upstream = await startRawUpstream([step.drip(rawResponse({ body: 'slow' }), 1)])
    await using client = await connectRaw(upstream.url)
    let pieces = 0
    client.socket.on('data', () => { pieces++ })
    await client.send(GET)
    expect(await client.readResponse()).toMatchObject({ text: 'slow', truncated: false })
    expect(pieces).toBeGreaterThan(10)
  })

  test('answers at the head, before the body is there', async () => {
    await using upstream = await startRawUpstream()
    upstream.respond([rawResponse({ status: 413, reason: 'Too Large', body: 'no' }), step.bodyRead()], { when: 'head' })
    await using client = await connectRaw(upstream.url)
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab')
    expect(await client.readResponse()).toMatchObject({ status: 413, text: 'no' })
    expect(upstream.lastRequest.body).toHaveLength(0)
    await client.send('cd')
    await upstream.lastRequest.complete
    expect(upstream.lastRequest.body.toString()).toBe('abcd')
    expect((await client.request(GET)).status).toBe(413)
  })

  test('pours no faster than the client reads', async () => {
    const total = 32 * 1024 * 1024
    await using upstream = await startRawUpstream([rawResponse({ headers: [['Content-Length', String(total)]] }), step.pour(total)])
    await using client = await connectRaw(upstream.url, { keep: false })
    client.pause()
    await client.send(GET)
    const [request] = await upstream.waitForRequests(1)
    const socket = request?.connection.socket
    let before = -1
    await waitFor(async () => {
      const still = socket?.bytesWritten === before
      before = socket?.bytesWritten ?? 0
      await new Promise((resolve) => { setTimeout(resolve, 50) })
      return still
    }, 'back-pressure')
    expect(before).toBeLessThan(total / 2)
    client.resume()
    expect((await client.readResponse({ timeoutMs: 15_000 })).body).toHaveLength(total)
  })

  test('greets before anything was asked', async () => {
    await using upstream = await startRawUpstream()
    upstream.greet([rawResponse({ status: 408, reason: 'Timeout', body: '' }), step.end()])
    await using client = await connectRaw(upstream.url)
    expect((await client.readResponse()).status).toBe(408)
  })

  test('accepts a real WebSocket handshake', async () => {
    await using upstream = await startRawUpstream(acceptUpgrade([['X-Extra', '1']]))
    const socket = new WebSocket(`ws://127.0.0.1:${upstream.port}/chat`)
    const extra = await new Promise((resolve, reject) => {
      socket.once('upgrade', (response) => resolve(response.headers['x-extra']))
      socket.once('error', reject)
    })
    expect(extra).toBe('1')
    socket.terminate()
  })

  test('echoes raw bytes after an upgrade', async () => {
    await using upstream = await startRawUpstream(acceptUpgrade())
    await using client = await connectRaw(upstream.url)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
    const reply = await client.readResponse()
    expect(reply).toMatchObject({ status: 101, framing: 'none' })
    expect(reply.header('sec-websocket-accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')   // RFC 6455 section 1.3
    await client.send('ping\x00\xff')
    expect((await client.read(6)).toString('latin1')).toBe('ping\x00\xff')
    client.halfClose()
    expect(await client.waitForClose()).toBe('fin')
  })

  test('a script that throws fails the test that owns the upstream', async () => {
    const upstream = await startRawUpstream(() => { throw new Error('typo') })
    await expect(rawRequest(upstream.port, GET)).rejects.toMatchObject({ ending: 'reset' })
    await expect(upstream.close()).rejects.toMatchObject({ errors: [new Error('typo')] })
  })

  test('listens on a unix socket', async () => {
    await using upstream = await startRawUpstream(echoJson(), { unix: true })
    await using client = await connectRaw(upstream.url)
    expect((await client.request(GET)).json()).toMatchObject({ target: '/' })
    upstream.respond([step.reset()])
    await client.send(GET)
    expect(['fin', 'reset']).toContain(await client.waitForClose())
  })
})
