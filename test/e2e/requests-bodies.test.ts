import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chunkedBody, rawResponse } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// What is accepted means the same behind the gateway: one request, its body byte for byte; one response, likewise (HS12, N22, N29).

let world: World
beforeAll(async () => { world = await startWorld() })
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

const EMBEDDED = 'POST /embedded HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyzGET /two HTTP/1.1\r\nHost: a\r\n\r\n'
const METHODS = ['DELETE', 'OPTIONS', 'PUT', 'GET', 'PATCH', 'POST', 'HEAD', 'PROPFIND', 'REPORT', 'SEARCH', 'PURGE']

describe.each(METHODS)('HS12, A32 %s with a request for a body', (method) => {
  test.each([
    ['Content-Length', `Content-Length: ${EMBEDDED.length}\r\n\r\n${EMBEDDED}`],
    ['one chunk', `Transfer-Encoding: chunked\r\n\r\n${chunkedBody([EMBEDDED]).toString('latin1')}`],
    ['many chunks', `Transfer-Encoding: chunked\r\n\r\n${chunkedBody(EMBEDDED.match(/.{1,7}/gs)!).toString('latin1')}`],
    ['sizes with leading zeros', `Transfer-Encoding: chunked\r\n\r\n000000000000000000${EMBEDDED.length.toString(16)}\r\n${EMBEDDED}\r\n000\r\n\r\n`],
    ['Chunked in capitals', `Transfer-Encoding: CHUNKED\r\n\r\n${chunkedBody([EMBEDDED]).toString('latin1')}`],
  ])('by %s is one request with that body', async (_framing, rest) => {
    using client = await connectRaw(world.url)
    for (let round = 0; round < 2; round++) {
      const reply = await client.request(`${method} /outer HTTP/1.1\r\nHost: a\r\n${rest}`, { method })
      expect(reply.status).toBe(200)
    }
    await world.client.get('/next')
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/outer', '/outer', '/next'])
    for (const request of world.upstream.requests.slice(0, 2)) {
      expect(request.method).toBe(method)
      expect(request.body.toString('latin1')).toBe(EMBEDDED)
      expect(request.all('content-length').length + request.all('transfer-encoding').length).toBe(1)
    }
  })
})

test.each(METHODS)('%s with an empty body, by length or chunked, is one request without one', async (method) => {
  using client = await connectRaw(world.url)
  expect((await client.request(`${method} /outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`, { method })).status).toBe(200)
  expect((await client.request(`${method} /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, { method })).status).toBe(200)
  await world.client.get('/next')
  expect(world.upstream.requests.map(({ target, body }) => [target, body.length])).toEqual([['/outer', 0], ['/outer', 0], ['/next', 0]])
})

test('bodies are not touched: any bytes, compressed, large, both ways', async () => {
  for (const body of [Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), gzipSync('text'), randomBytes(1_000_000), Buffer.from('\r\n0\r\n\r\n'), Buffer.from([0xef, 0xbb, 0xbf])]) {
    for (const chunked of [false, true]) {
      world.upstream.respondOnce((request) => rawResponse({ headers: [['Content-Encoding', 'gzip'], ['ETag', '"x"']], ...chunked ? { chunks: [request.body] } : { body: request.body } }))
      const reply = await world.client.post('/', { body, headers: { 'content-encoding': 'gzip', ...chunked ? { 'transfer-encoding': 'chunked' } : {} } })
      expect(world.upstream.lastRequest.body.equals(body)).toBe(true)
      expect(reply.bytes.equals(body)).toBe(true)
      expect(reply.fields).toMatchObject({ 'content-encoding': 'gzip', 'etag': '"x"' })
    }
  }
})

describe('responses without a body', () => {
  test('HEAD keeps the length of what GET would give', async () => {
    world.upstream.respondOnce(rawResponse({ headers: [['Content-Length', '12345']] }))
    using client = await connectRaw(world.url)
    const reply = await client.request('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(reply.header('content-length')).toBe('12345')
    expect((await client.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).text).toBe('ok')
  })

  test('304 keeps validators and length', async () => {
    world.upstream.respondOnce(rawResponse({ status: 304, reason: 'Not Modified', headers: [['ETag', '"x"'], ['Content-Length', '12345'], ['Last-Modified', 'Wed, 21 Oct 2015 07:28:00 GMT']] }))
    using client = await connectRaw(world.url)
    const reply = await client.request('GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\n\r\n')
    expect(reply.status).toBe(304)
    expect(reply.fields).toMatchObject({ 'etag': '"x"', 'content-length': '12345', 'vary': 'Cookie' })
    expect(world.upstream.lastRequest.header('if-none-match')).toBe('"x"')
    expect((await client.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).text).toBe('ok')
  })

  test('204 has neither a length nor a coding', async () => {
    world.upstream.respondOnce(rawResponse({ status: 204, reason: 'No Content', headers: [['Content-Length', '0']] }))
    using client = await connectRaw(world.url)
    const reply = await client.request('DELETE / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(reply.status).toBe(204)
    expect(reply.rawHead).not.toMatch(/content-length|transfer-encoding/i)
    expect((await client.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).text).toBe('ok')
  })

  test('a range is asked for and given as it is', async () => {
    world.upstream.respondOnce(rawResponse({ status: 206, reason: 'Partial Content', headers: [['Content-Range', 'bytes 2-4/10'], ['Accept-Ranges', 'bytes']], body: 'cde' }))
    const reply = await rawRequest(world.url, 'GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\nIf-Range: "x"\r\n\r\n')
    expect(reply).toMatchObject({ status: 206, text: 'cde' })
    expect(reply.header('content-range')).toBe('bytes 2-4/10')
    expect(world.upstream.lastRequest.fields).toMatchObject({ 'range': 'bytes=2-4', 'if-range': '"x"' })
  })
})

test('status, reason and fields pass as they came: order, case, duplicates, latin1', async () => {
  const fields = [['X-A', 'one'], ['x-a', 'two'], ['X-Odd-cAsE', 'v'], ['WWW-Authenticate', 'Basic realm="a, b"'], ['WWW-Authenticate', 'Digest x'], ['X-Latin', '\xe4'], ['Warning', '199 - "x"'], ['Link', '</a>; rel=next'], ['Link', '</b>; rel=prev']] as const
  world.upstream.respondOnce(rawResponse({ status: 418, reason: 'I\'m a teapot', headers: [...fields], body: 'short and stout' }))
  const reply = await rawRequest(world.url, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(reply.statusLine).toBe('HTTP/1.1 418 I\'m a teapot')
  expect(reply.headers.filter(([name]) => fields.some(([other]) => other === name))).toEqual(fields)
})
