import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// The 33 checks of h1spec's kind: fifteen fragments a server must wait on, eighteen whole requests it must tell apart.

let world: World
beforeAll(async () => { world = await startWorld() })
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

const WHOLE = 'GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('a fragment is waited on, and its rest completes the request', () => {
  test.each([
    ['the method', 'G'], ['the target, not begun', 'GET '], ['the target', 'GET /hello'], ['the space behind it', 'GET /hello '], ['the protocol', 'GET /hello HTTP'],
    ['the request line', 'GET /hello HTTP/1.1'], ['its CR', 'GET /hello HTTP/1.1\r'], ['its LF', 'GET /hello HTTP/1.1\r\n'], ['a field name', 'GET /hello HTTP/1.1\r\nHos'],
    ['the colon', 'GET /hello HTTP/1.1\r\nHost:'], ['the space behind it', 'GET /hello HTTP/1.1\r\nHost: '], ['a field value', 'GET /hello HTTP/1.1\r\nHost: localhost'],
    ['the CR of a field', 'GET /hello HTTP/1.1\r\nHost: localhost\r'], ['the LF of a field', 'GET /hello HTTP/1.1\r\nHost: localhost\r\n'],
    ['the CR of the empty line', 'GET /hello HTTP/1.1\r\nHost: localhost\r\n\r'],
  ])('up to %s', async (_what, fragment) => {
    using client = await connectRaw(world.url)
    await client.send(fragment)
    await world.client.get('/meanwhile')           // the fragment has been read by then
    expect(client.received.length).toBe(0)
    expect(client.isOpen).toBe(true)
    const reply = await client.request(WHOLE.slice(fragment.length))
    expect(reply.status).toBe(200)
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/meanwhile', '/hello'])
  })
})

describe('a whole request is served or refused', () => {
  const refused = [400, 499] as const
  const served = [200, 299] as const
  test.each([
    ['no version', 'GET / \r\n\r\n', [400, 599]],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n\r\n', served],
    ['a plain request', 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n', served],
    ['edge cases that are valid', 'GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n', served],
    ['illegal characters in a name', 'GET / HTTP/1.1\r\nHost: example.com\r\nX-Invalid[]: test\r\n\r\n', refused],
    ['no Host', 'GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n', refused],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: example.com\r\nHost: example.org\r\n\r\n', refused],
    ['a length far below zero', 'GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: -123456789123456789123456789\r\n\r\n', refused],
    ['a negative length', 'GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: -1234\r\n\r\n', refused],
    ['a length of letters', 'GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: abc\r\n\r\n', refused],
    ['an empty value', 'GET / HTTP/1.1\r\nHost: example.com\r\nX-Empty-Header: \r\n\r\n', served],
    ['a control character in a value', 'GET / HTTP/1.1\r\nHost: example.com\r\nX-Bad-Control-Char: test\x07\r\n\r\n', refused],
    ['a version there is none of', 'GET / HTTP/9.9\r\nHost: example.com\r\n\r\n', [400, 599]],
    ['something before the method', 'Extra lineGET / HTTP/1.1\r\nHost: example.com\r\n\r\n', [400, 599]],
    ['a CR that ends nothing', 'GET / HTTP/1.1\r\nHost: example.com\r\n\rSome-Header: Test\r\n\r\n', refused],
    ['a body', 'POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello', served],
    ['a chunked body', 'POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', served],
    ['two framings', 'GET / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n', refused],
  ] as const)('%s', async (_what, bytes, [low, high]) => {
    const { status } = await rawRequest(world.url, bytes)
    expect(status).toBeGreaterThanOrEqual(low)
    expect(status).toBeLessThanOrEqual(high)
    expect(world.upstream.requests).toHaveLength(status < 300 ? 1 : 0)
  })
})

const POST = 'POST /split?q=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-A: one\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n'

test('a request split at any byte is the same request', async () => {
  for (let at = 1; at < POST.length; at++) {
    world.upstream.forget()
    using client = await connectRaw(world.url)
    await client.send(POST.slice(0, at))
    await new Promise((resolve) => { setImmediate(resolve) })
    const reply = await client.request(POST.slice(at))
    expect(reply.status, `split at ${at}`).toBe(200)
    const [request, ...others] = world.upstream.requests
    expect(others).toEqual([])
    expect(request).toMatchObject({ method: 'POST', target: '/split?q=1' })
    expect(request!.body.toString()).toBe('abcde')
    expect(request!.header('x-a')).toBe('one')
  }
})

test('a request that comes byte by byte is the same request', async () => {
  using client = await connectRaw(world.url)
  for (const byte of POST) {
    await client.send(byte)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  expect((await client.readResponse()).status).toBe(200)
  expect(world.upstream.requests).toHaveLength(1)
  expect(world.upstream.lastRequest.body.toString()).toBe('abcde')
})
