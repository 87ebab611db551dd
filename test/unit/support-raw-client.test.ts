import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { CookieJar } from '../support/cookie-jar.ts'
import { FramingError } from '../support/http-framing.ts'
import { connectRaw, httpClient, rawRequest } from '../support/raw-client.ts'
import { chunkedBody, echoJson, rawResponse, startRawUpstream, step } from '../support/raw-upstream.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

describe('the raw client', () => {
  test('keeps interim responses apart from the final one', async () => {
    const hint = rawResponse({ status: 103, reason: 'Early Hints', headers: [['Link', '</a>']] })
    await using upstream = await startRawUpstream([hint, hint, rawResponse({ body: 'x' })])
    const reply = await rawRequest(upstream.port, GET)
    expect(reply).toMatchObject({ status: 200, text: 'x' })
    expect(reply.interim.map(({ status, headers }) => [status, headers])).toEqual([[103, [['Link', '</a>']]], [103, [['Link', '</a>']]]])
  })

  test('reads chunks and trailers, and the next response after them', async () => {
    await using upstream = await startRawUpstream(rawResponse({ chunks: ['a', 'bc'], trailers: [['X-T', '1']] }))
    await using client = await connectRaw(upstream.url)
    for (let turn = 0; turn < 2; turn++) {
      expect(await client.request(GET)).toMatchObject({ text: 'abc', trailers: [['X-T', '1']], framing: 'chunked', truncated: false })
    }
  })

  test('knows that HEAD, 204 and 304 have no body whatever they declare', async () => {
    await using upstream = await startRawUpstream()
    await using client = await connectRaw(upstream.url)
    upstream.respondOnce(
      rawResponse({ headers: [['Content-Length', '7']] }),
      rawResponse({ status: 204, headers: [['Content-Length', '7']] }),
      rawResponse({ status: 304, headers: [['Content-Length', '7']] }),
    )
    expect((await client.request('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).body).toHaveLength(0)
    expect(await client.request(GET)).toMatchObject({ status: 204, framing: 'none' })
    expect(await client.request(GET)).toMatchObject({ status: 304, framing: 'none' })
    expect(await client.request(GET)).toMatchObject({ status: 200, text: 'ok' })
  })

  test.each([
    ['a length', rawResponse({ headers: [['Content-Length', '9']], body: 'abc' })],
    ['chunks', Buffer.concat([rawResponse({ headers: [['Transfer-Encoding', 'chunked']] }), chunkedBody(['abc']).subarray(0, -5)])],
  ])('sees truncation of %s after FIN and after reset', async (_name, bytes) => {
    await using upstream = await startRawUpstream()
    upstream.respondOnce([bytes, step.end()], [bytes, step.reset()])
    expect(await rawRequest(upstream.port, GET)).toMatchObject({ truncated: true, text: 'abc' })
    expect(await rawRequest(upstream.port, GET)).toMatchObject({ truncated: true })
  })

  test.each(['HTTP/1.1 99 Odd\r\n\r\n', 'ICY 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 'HTTP/1.1 200 OK\r\nbad\r\n\r\n'])(
    'refuses %j', async (bytes) => {
      await using upstream = await startRawUpstream([bytes, step.end()])
      await expect(rawRequest(upstream.port, GET)).rejects.toThrow(FramingError)
    })

  test('says what had come when an answer is late', async () => {
    await using upstream = await startRawUpstream(['HTTP/1.1 200 O', step.stall()])
    await expect(rawRequest(upstream.port, GET, { timeoutMs: 100 })).rejects.toThrow('no response (unread: "HTTP/1.1 200 O") within 100 ms')
  })

  test('half-closes and still reads the answer; resets are resets', async () => {
    await using upstream = await startRawUpstream(echoJson())
    await using client = await connectRaw({ port: upstream.port, localAddress: '127.0.0.3' })
    await client.send(GET)
    client.halfClose()
    expect((await client.readResponse()).status).toBe(200)
    expect(await client.waitForClose()).toBe('fin')
    expect(upstream.connections[0]?.socket.remoteAddress ?? '127.0.0.3').toBe('127.0.0.3')

    await using other = await connectRaw(upstream.url)
    const [, connection] = await upstream.waitForConnections(2)
    other.reset()
    expect(await connection?.peerEnded).toBe('reset')
  })

  test('a refused connection rejects as the system says', async () => {
    const upstream = await startRawUpstream()
    const { port } = upstream
    await upstream.close()
    await expect(connectRaw(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('the HTTP client', () => {
  test('keeps the connection and the cookies, and gives raw headers', async () => {
    await using upstream = await startRawUpstream(echoJson([['Set-Cookie', 'a=1; Path=/; HttpOnly'], ['X-Odd', '1'], ['x-odd', '2']]))
    using client = httpClient(upstream.url)
    const first = await client.get('/one?q=1')
    expect(first.headers.filter(([name]) => /odd/i.test(name))).toEqual([['X-Odd', '1'], ['x-odd', '2']])
    expect(first.all('X-ODD')).toEqual(['1', '2'])
    await client.post('/two', { json: { b: 2 } })
    const [one, two] = upstream.requests
    expect(one?.header('cookie')).toBeUndefined()
    expect(two).toMatchObject({ method: 'POST', body: Buffer.from('{"b":2}'), fields: { cookie: 'a=1', 'content-type': 'application/json' } })
    expect(upstream.connectionCount).toBe(1)
    await client.get('/three', { anonymous: true })
    expect(upstream.lastRequest.header('cookie')).toBeUndefined()
  })

  test('follows redirects only when asked, and turns POST into GET after 303', async () => {
    await using upstream = await startRawUpstream((request) =>
      request.target === '/end' ? rawResponse({ body: 'here' }) : rawResponse({ status: 303, headers: [['Location', '/end']], body: '' }))
    using client = httpClient(upstream.url)
    expect((await client.post('/', { body: 'x' })).status).toBe(303)
    expect(await client.post('/', { body: 'x', follow: 1 })).toMatchObject({ status: 200, body: 'here' })
    expect(upstream.lastRequest).toMatchObject({ method: 'GET', body: Buffer.alloc(0) })
  })

  test('sends the body of an Expect request only after the 100', async () => {
    let continued = false
    const server = createServer().on('checkContinue', (request, response) => {
      continued = true
      response.writeContinue()
      request.pipe(response)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    using client = httpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const reply = await client.post('/', { headers: { expect: '100-continue' }, body: 'hello' })
    expect(reply.body).toBe('hello')
    expect(continued).toBe(true)
    server.close()
  })

  test('rejects when the body is cut', async () => {
    await using upstream = await startRawUpstream([rawResponse({ headers: [['Content-Length', '9']], body: 'abc' }), step.end()])
    using client = httpClient(upstream.url)
    await expect(client.get('/')).rejects.toMatchObject({ code: 'ECONNRESET' })
  })
})

describe('the cookie jar', () => {
  test('replaces, expires, scopes by path, and forgets browser-session cookies', () => {
    const jar = new CookieJar()
    jar.store('a=1; Path=/')
    jar.store('a=2; Path=/')
    jar.store('deep=3; Path=/x')
    jar.store('kept=4; Max-Age=60')
    jar.store('gone=5; Max-Age=0')
    jar.store('old=6; Expires=Thu, 01 Jan 1970 00:00:00 GMT')
    jar.store('here=7', '/dir/page')
    expect(jar.headerFor('/')).toBe('a=2; kept=4')
    expect(jar.headerFor('/x/y')).toBe('deep=3; a=2; kept=4')
    expect(jar.headerFor('/xy')).toBe('a=2; kept=4')
    expect(jar.headerFor('/dir/other')).toBe('here=7; a=2; kept=4')
    jar.store('kept=; Expires=Thu, 01 Jan 1970 00:00:00 GMT')
    jar.closeBrowser()
    expect(jar.all()).toEqual([])
  })
})
