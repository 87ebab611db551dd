import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rawRequest } from '../support/raw-client.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'

// Behind a trusted proxy: its word is kept and appended to; nobody else's is (N35, RFC 7239 section 8.1).

const PROXY = '127.0.0.2'
let world: World
beforeAll(async () => { world = await startWorld({ config: { trustedProxies: [PROXY, '10.0.0.0/8', 'fd00::/8'] } }) })
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

async function seenFrom(localAddress: string, lines: string[]): Promise<Record<string, string>> {
  const reply = await rawRequest({ port: world.port, localAddress }, `GET / HTTP/1.1\r\nHost: gateway\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
  expect(reply.status).toBe(200)
  return world.upstream.lastRequest.fields
}

async function clientLogged(localAddress: string, lines: string[]): Promise<unknown> {
  const before = world.log.length
  await seenFrom(localAddress, lines)
  return waitFor(() => world.log.slice(before).find(({ msg }) => msg === 'request')?.['client'])
}

const SAID = ['X-Forwarded-For: 203.0.113.7, 10.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.example', 'X-Forwarded-Port: 443', 'X-Forwarded-Prefix: /p', 'X-Real-IP: 203.0.113.7', 'Forwarded: for=203.0.113.7;proto=https;host=shop.example']

test('from a trusted proxy: kept, and appended to', async () => {
  expect(await seenFrom(PROXY, SAID)).toMatchObject({
    'x-forwarded-for': `203.0.113.7, 10.1.1.1, ${PROXY}`, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example', 'x-forwarded-port': '443', 'x-forwarded-prefix': '/p', 'x-real-ip': '203.0.113.7',
    'forwarded': `for=203.0.113.7;proto=https;host=shop.example, for=${PROXY};host=shop.example;proto=https`, 'host': 'gateway',
  })
})

test('from anyone else: not a word of it', async () => {
  const seen = await seenFrom('127.0.0.3', SAID)
  expect(seen).toMatchObject({ 'x-forwarded-for': '127.0.0.3', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'gateway', 'forwarded': 'for=127.0.0.3;host=gateway;proto=http' })
  expect(JSON.stringify(seen)).not.toContain('203.0.113.7')
  for (const name of ['x-forwarded-port', 'x-forwarded-prefix', 'x-real-ip']) expect(seen).not.toHaveProperty(name)
})

test('aliases of a trusted proxy\'s fields are a client\'s', async () => {
  expect(JSON.stringify(await seenFrom(PROXY, ['X_Forwarded_For: 6.6.6.6', 'X-Forwarded_Host: evil', 'X.Real.IP: 6.6.6.6']))).not.toMatch(/6\.6\.6\.6|evil/)
})

describe('the client is the nearest that is not a trusted proxy', () => {
  test.each<[string, string[], string]>([
    ['nothing said', [], PROXY],
    ['one address', ['X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
    ['what the client made up stands before what the proxy saw', ['X-Forwarded-For: 6.6.6.6, 203.0.113.7'], '203.0.113.7'],
    ['trusted hops are skipped', ['X-Forwarded-For: 203.0.113.7, 10.1.1.1, 10.2.2.2'], '203.0.113.7'],
    ['several lines are one list', ['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
    ['all trusted: the farthest', ['X-Forwarded-For: 10.1.1.1, 10.2.2.2'], '10.1.1.1'],
    ['a port', ['X-Forwarded-For: 203.0.113.7:4711'], '203.0.113.7'],
    ['IPv6', ['X-Forwarded-For: 2001:db8::7'], '2001:db8::7'],
    ['IPv6 with brackets and port', ['X-Forwarded-For: [2001:db8::7]:4711'], '2001:db8::7'],
    ['trusted IPv6', ['X-Forwarded-For: 203.0.113.7, fd00::1'], '203.0.113.7'],
    ['empty members', ['X-Forwarded-For: , 203.0.113.7,,'], '203.0.113.7'],
    ['Forwarded alone', ['Forwarded: for=203.0.113.7'], '203.0.113.7'],
    ['Forwarded, quoted IPv6 with port', ['Forwarded: for="[2001:db8::7]:4711"'], '2001:db8::7'],
    ['Forwarded, a chain', ['Forwarded: for=6.6.6.6, for=203.0.113.7;by=10.1.1.1', 'Forwarded: For=10.1.1.1'], '203.0.113.7'],
    ['Forwarded, hidden', ['Forwarded: for=_hidden'], '_hidden'],
    ['Forwarded, malformed: not believed', ['Forwarded: for="203.0.113.7'], PROXY],
    ['both: X-Forwarded-For, since Forwarded may have been passed through', ['Forwarded: for=6.6.6.6', 'X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
  ])('%s', async (_what, lines, expected) => expect(await clientLogged(PROXY, lines)).toBe(expected))
})

describe('the host and the protocol the browser asked for', () => {
  test.each<[string, string[], string, string]>([
    ['nothing said', [], 'gateway', 'http'],
    ['X-Forwarded-*', ['X-Forwarded-Host: shop.example:8443', 'X-Forwarded-Proto: HTTPS'], 'shop.example:8443', 'https'],
    ['lists: the first', ['X-Forwarded-Host: shop.example, inner', 'X-Forwarded-Proto: https, http'], 'shop.example', 'https'],
    ['Forwarded: of the element that names the client', ['Forwarded: for=6.6.6.6;host=evil;proto=http, for=203.0.113.7;host="shop.example:8443";proto=https, for=10.1.1.1;host=inner;proto=http'], 'shop.example:8443', 'https'],
    ['not a host', ['X-Forwarded-Host: a/b'], 'gateway', 'http'], ['not a host either', ['Forwarded: host="a\\"b";proto=https'], 'gateway', 'https'],
    ['not a protocol', ['X-Forwarded-Proto: gopher'], 'gateway', 'http'],
  ])('%s', async (_what, lines, host, proto) => {
    expect(await seenFrom(PROXY, lines)).toMatchObject({ 'x-forwarded-host': host, 'x-forwarded-proto': proto })
  })
})

test('a prefix taken off before us stands before the one taken off here', async () => {
  await using other = await startWorld({ config: { trustedProxies: [PROXY] }, routes: [{ path: '/shop', stripPrefix: true }] })
  for (const [localAddress, prefix] of [[PROXY, '/eu/shop'], ['127.0.0.3', '/shop']] as const) {
    await rawRequest({ port: other.port, localAddress }, 'GET /shop/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /eu\r\n\r\n')
    expect(other.upstream.lastRequest.all('x-forwarded-prefix')).toEqual([prefix])
  }
})

test('A2 routes are matched by Host, never by what a proxy says', async () => {
  await using other = await startWorld({ config: { trustedProxies: [PROXY] }, routes: [{ host: 'shop.example' }] })
  expect((await rawRequest({ port: other.port, localAddress: PROXY }, 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: shop.example\r\n\r\n')).status).toBe(421)
})

test('the request rate is counted for the client behind the proxy, and nobody can pose as another', async () => {
  await using other = await startWorld({ config: { trustedProxies: [PROXY] }, limits: { requestsPerSecond: 1 } })
  const from = async (localAddress: string, address: string): Promise<number> => (await rawRequest({ port: other.port, localAddress }, `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${address}\r\n\r\n`)).status
  expect(await Promise.all(Array.from({ length: 5 }, (_, i) => from(PROXY, `203.0.113.${i}`)))).toEqual([200, 200, 200, 200, 200])
  expect(await Promise.all(Array.from({ length: 5 }, (_, i) => from('127.0.0.3', `203.0.113.1${i}`)))).toContain(429)
  expect(await Promise.all(Array.from({ length: 5 }, (_, i) => from(PROXY, `2001:db8:1:2::${i}`)))).toContain(429)
})
