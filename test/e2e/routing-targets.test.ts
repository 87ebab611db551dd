import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startRawUpstream, type RawUpstream } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// Which request goes where, by what it says of its target; and that the target arrives as it was sent (N14 to N17, HS17 to HS19).

let world: World
let other: RawUpstream
beforeAll(async () => {
  other = await startRawUpstream()
  world = await startWorld()
  await world.reconfigure({
    upstreams: { app: { targets: [world.upstream.url] }, other: { targets: [other.url] } },
    routes: [
      { path: '/', upstream: 'app' }, { path: '/app1', upstream: 'other' }, { path: '/app1x', upstream: 'app', session: 'none' },
      { path: '/deep/er', upstream: 'other' }, { path: '/', host: 'b.example', upstream: 'other' }, { path: '/sub', host: 'b.example', upstream: 'app' },
      { path: '/', host: 'c.example:8443', upstream: 'other' },
    ],
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})
beforeEach(() => {
  world.upstream.forget()
  other.forget()
})

type Place = 'app' | 'other' | number

/** Which upstream saw the target, byte for byte; or the status that refused it. */
async function placeOf(target: string, { host = 'a', method = 'GET' } = {}): Promise<Place> {
  const { status } = await rawRequest(world.url, `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const seen = [...world.upstream.requests.map((request) => ['app', request] as const), ...other.requests.map((request) => ['other', request] as const)]
  if (seen.length === 0) return status
  expect(status).toBe(200)
  expect(seen).toHaveLength(1)
  const [[place, request]] = seen as [readonly [Place, (typeof world.upstream.requests)[number]]]
  expect(request.target).toBe(target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]+/i, '').replace(/^(?!\/)/, '/'))
  return place
}

describe('HS18 the longest prefix at a segment boundary', () => {
  test.each<[string, Place]>([
    ['/', 'app'], ['/app1', 'other'], ['/app1/', 'other'], ['/app1/x/y', 'other'], ['/app1?q', 'other'], ['/app1x', 'app'], ['/app1x/y', 'app'], ['/app1xx', 'app'], ['/app12', 'app'],
    ['/app', 'app'], ['/App1', 'app'], ['/deep', 'app'], ['/deep/er', 'other'], ['/deep/er/est', 'other'], ['/deep/error', 'app'],
    ['/%61pp1', 'other'], ['/%61%70%70%31/x', 'other'], ['/app1%2D', 'app'], ['/x/app1', 'app'], ['/?/app1', 'app'], ['/x?y=/app1', 'app'], ['/app1?x=/../..', 'other'],
  ])('%s -> %s', async (target, place) => expect(await placeOf(target)).toBe(place))
})

describe('HS18, A5, A23, A24 what two servers could read as two paths is refused', () => {
  test.each([
    '/app1/../x', '/app1/..', '/app1/.', '/./app1', '/..', '/app1/..%2fx', '/app1/%2e%2e/x', '/app1/%2E./x', '/app1%2f..%2fx', '/app1/.%2e', '/app1\\..', '/app1/..\\x', '/app1/%5c..%5cx', '/app1/..%5cx',
    '/app1#y', '/#', '/app1?q#y', '/private#/public',
    '//app1', '///app1/x', '/;v=1/app1', '/app1;x', '/app1;x/y', '/app1/..;/x', '/app1/..;a=b/x', '/app1%2fx', '/app1%3bx', '/%2fapp1', '/%25%36%31pp1', '/app1/%252e%252e/x', '/x/..;/app1', '/deep//er', '/deep;/er',
  ])('%s', async (target) => expect(await placeOf(target)).toBe(400))

  test.each(['//', '//x', '/x//y', '/x;y=z', '/x/..;/y', '/x%2Fy', '/a%20b', '/%C3%A4', '/%00', '/%0d%0aSet-Cookie:x', '/%zz', '/100%', '/x?//app1', '/app1//x', '/app1/x;y', '/app1/%2f', "/!$&'()*+,;=:@~-._", '/|^`{}"<>', '/x?a=b;c'])(
    '%s is read alike under every route, and passes byte for byte',
    async (target) => expect(await placeOf(target)).toBe(target.startsWith('/app1') ? 'other' : 'app'),
  )
})

test('N17 the target of one route for all passes byte for byte', async () => {
  await using one = await startWorld()
  for (const target of ['//a//b/%2F/..;/?x=//y', '/%41%2F', '/a/b;c/d', '/?', '/??', '/a?b?c', '//evil.example/p', '/%', '/%%%', '/a%5Cb', '/[::1]', '/*', '/http://x/', `/${'a'.repeat(8_000)}`, '/x?' + '&'.repeat(500)]) {
    one.upstream.forget()
    const { status } = await rawRequest(one.url, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(status, target).toBe(200)
    expect(one.upstream.lastRequest.target).toBe(target)
  }
})

describe('N14, HS17 absolute-form', () => {
  test.each<[string, string, Place]>([
    ['http://b.example/x', 'a', 'other'], ['http://b.example/sub', 'a', 'app'], ['http://a/x', 'b.example', 'app'], ['HTTP://B.EXAMPLE/x', 'a', 'other'], ['https://b.example/x?q', 'a', 'other'],
    ['http://b.example', 'a', 'other'], ['http://b.example?q', 'a', 'other'], ['http://b.example:80/x', 'a', 'other'], ['http://c.example:8443/', 'a', 'other'], ['http://[::1]/x', 'a', 'app'], ['http://[::1]:80/', 'a', 'app'],
    ['ftp://b.example/x', 'a', 400], ['http://[::1/', 'a', 400], ['http://[::1]x/', 'a', 400], ['http://user@b.example/x', 'a', 400], ['http://user:pw@b.example/', 'a', 400], ['http:///x', 'a', 400], ['http:/b.example/x', 'a', 400],
    ['http:b.example', 'a', 400], ['http://b.example#x', 'a', 400], ['http://b.example\\@a/', 'a', 400], ['http://b.example/../x', 'a', 400], ['http://b.example:port/', 'a', 400], ['http://b.example:123456/', 'a', 400],
    ['http://b%2eexample/', 'a', 400], ['javascript:alert(1)', 'a', 400], ['b.example:443', 'a', 400], ['x', 'a', 400], ['?q', 'a', 400], ['*', 'a', 400], ['http://', 'a', 400], ['http://?', 'a', 400],
    ['http://b.example/x', 'a/b', 400], ['http://b.example/x', '', 400],
  ])('%s with Host %s -> %s', async (target, host, place) => expect(await placeOf(target, { host })).toBe(place))

  test('the authority of the target replaces Host, and is what the upstream is told', async () => {
    await rawRequest(world.url, 'GET http://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(other.lastRequest.all('host')).toEqual(['b.example'])
    expect(other.lastRequest.all('x-forwarded-host')).toEqual(['b.example'])
    expect(other.lastRequest.target).toBe('/x')
  })

  test('port 99999 is no way to crash', async () => {
    expect([400, 421, 'app', 'other']).toContain(await placeOf('http://b.example:99999/'))
  })
})

describe('hosts', () => {
  test.each<[string, Place]>([
    ['b.example', 'other'], ['B.Example', 'other'], ['b.example:1234', 'other'], ['xb.example', 'app'], ['b.example.evil', 'app'], ['c.example:8443', 'other'], ['c.example', 'app'], ['c.example:84430', 'app'],
  ])('A43 Host: %s -> %s', async (host, place) => expect(await placeOf('/', { host })).toBe(place))

  test('N16 a host that no route serves is misdirected: 421; a path that none serves is not found: 404', async () => {
    await using only = await startWorld({ routes: [{ host: 'shop.example', path: '/shop' }] })
    expect((await rawRequest(only.url, 'GET /shop HTTP/1.1\r\nHost: shop.example\r\n\r\n')).status).toBe(200)
    for (const [host, target, status] of [['shop.example', '/', 404], ['shop.example', '/shopping', 404], ['localhost', '/shop', 421], ['evilshop.example', '/shop', 421], ['shop.example.', '/shop', 421]] as const) {
      const reply = await rawRequest(only.url, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect(reply.status, `${host}${target}`).toBe(status)
      expect(reply.header('cache-control')).toBe('no-store')
    }
    expect(only.upstream.requests).toHaveLength(1)
  })

  test('A2, A4 neither forwarded fields nor the query choose a route', async () => {
    await rawRequest(world.url, 'GET /x?/app1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-Uri: /app1\r\nX-Original-URL: /app1\r\nX-Forwarded-Host: b.example\r\nForwarded: host=b.example\r\nX-HTTP-Method-Override: DELETE\r\n\r\n')
    expect(world.upstream.requests).toHaveLength(1)
    expect(other.requests).toHaveLength(0)
  })

  test('an HTTP/1.0 request without Host goes to the routes for every host', async () => {
    expect((await rawRequest(world.url, 'GET /app1 HTTP/1.0\r\n\r\n')).status).toBe(200)
    expect(other.lastRequest.target).toBe('/app1')
  })
})

describe('methods', () => {
  test.each(['TRACE', 'TRACK', 'CONNECT'])('HS19 %s is not served, and echoes nothing', async (method) => {
    using client = await connectRaw(world.url)
    const reply = await client.request(`${method} ${method === 'CONNECT' ? 'a:443' : '/'} HTTP/1.1\r\nHost: a\r\nCookie: sid=secret-cookie\r\n\r\n`)
    expect([400, 405]).toContain(reply.status)
    if (reply.status === 405) expect(reply.header('allow')).toContain('GET')
    expect(client.received.toString()).not.toContain('secret-cookie')
    expect(world.upstream.requests).toHaveLength(0)
  })

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'PURGE', 'SEARCH'])('%s passes', async (method) => {
    const reply = await rawRequest(world.url, `${method} /m HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
    expect(reply.status).toBe(200)
    expect(world.upstream.lastRequest.method).toBe(method)
  })

  test.each(['h2c', 'HTTP/2.0', 'TLS/1.0', 'websocket, h2c', 'foo'])('HS19 an upgrade to %s is never forwarded', async (protocol) => {
    const reply = await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`)
    expect(reply.status).toBe(400)
    expect(world.upstream.requests).toHaveLength(0)
  })

  test('an Upgrade that Connection does not name is ignored and not forwarded', async () => {
    expect((await rawRequest(world.url, 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n')).status).toBe(200)
    expect(world.upstream.lastRequest.header('upgrade')).toBeUndefined()
  })

  test('OPTIONS * asks about the gateway, which answers itself', async () => {
    const reply = await rawRequest(world.url, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(reply.status).toBe(204)
    expect(reply.header('allow')).toContain('OPTIONS')
    expect(world.upstream.requests).toHaveLength(0)
  })

  test.each<[string, string, string, string[] | number]>([
    ['OPTIONS', '/', '0', 204], ['OPTIONS', '/', '5', ['4']], ['OPTIONS', '/', '1', ['0']], ['OPTIONS', '/', 'x', 400], ['OPTIONS', '/', '-1', 400], ['GET', '/', '0', ['0']], ['POST', '/', 'x', ['x']],
  ])('N9 %s %s with Max-Forwards: %s', async (method, target, value, expected) => {
    const reply = await rawRequest(world.url, `${method} ${target} HTTP/1.1\r\nHost: a\r\nMax-Forwards: ${value}\r\nContent-Length: 0\r\n\r\n`)
    if (typeof expected === 'number') {
      expect(reply.status).toBe(expected)
      expect(world.upstream.requests).toHaveLength(0)
    } else expect(world.upstream.lastRequest.all('max-forwards')).toEqual(expected)
  })
})
