import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectRaw } from '../support/raw-client.ts'
import { expectRefused, expectUpstreamSawNothing, type RefusedCase } from '../support/refusals.ts'
import { startWorld, type World } from '../support/world.ts'

// Framing that two servers could read differently never gets past the gateway (RFC 9112 sections 2.2, 5, 6 and 7; N18 to N28).

let world: World
beforeAll(async () => { world = await startWorld() })
afterAll(async () => { await world[Symbol.asyncDispose]() })

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** A POST with these header lines, and behind them what one reader takes for its body and another for the next request. */
function post(lines: string, body = SMUGGLED): string {
  return `POST /outer HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${body}`
}

function get(lines: string): string {
  return `GET /outer HTTP/1.1\r\n${lines}\r\n\r\n`
}

const CHUNKED = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`

const LENGTH_AND_ENCODING: readonly RefusedCase[] = [
  ['Content-Length first', `Content-Length: ${CHUNKED.length}\r\nTransfer-Encoding: chunked`, CHUNKED],
  ['Transfer-Encoding first', `Transfer-Encoding: chunked\r\nContent-Length: ${CHUNKED.length}`, CHUNKED],
  ['odd case', `cOnTeNt-lEnGtH: 5\r\ntRaNsFeR-eNcOdInG: CHUNKED`, CHUNKED],
  ['a length that hides the next request', 'Content-Length: 0\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`],
].map(([what, lines, body]) => ({ id: 'HS9', what: what!, send: post(lines!, body), status: 400 }))

const ENCODINGS: readonly RefusedCase[] = [
  'xchunked', 'chunked, identity', 'gzip, chunked', ',chunked', 'chunked,', '\x0bchunked', 'chunked;q=1', 'chunked, chunked', 'gzip', 'identity',
  '"chunked"', 'chunked\x00', '',
  'identity\r\nTransfer-Encoding: chunked', 'chunked\r\nTransfer-Encoding: identity', 'chunked\r\nTransfer-Encoding: chunked', ' \r\nTransfer-Encoding: chunked',
].flatMap((value) => ['POST', 'GET'].map((method): RefusedCase => ({
  id: 'HS10', what: `${method} ${JSON.stringify(value)}`, status: [400, 501],
  send: `${method} /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${value}\r\n\r\n${CHUNKED}${SMUGGLED}`,
})))

const LENGTHS: readonly RefusedCase[] = [
  ['the same twice', '5\r\nContent-Length: 5'], ['two different', '5\r\nContent-Length: 6'], ['two spellings', '5\r\ncontent-length: 5'],
  ['a sign', '+5'], ['a list', '5,5'], ['a list with space', '5, 5'], ['hexadecimal', '0x5'], ['two numbers', '5 5'], ['empty', ''], ['only space', '   '],
  ['negative', '-5'], ['negative zero', '-0'], ['beyond 64 bits', '18446744073709551617'], ['20 digits', '00000000000000000005'], ['16 digits', '1000000000000000'],
  ['a fraction', '5.0'], ['an exponent', '5e0'], ['letters behind', '5a'], ['an underscore', '1_0'], ['a digit of another script', '\xd9\xa5'],
  ['a vertical tab', '5\x0b'], ['a form feed before', '\x0c5'],
].map(([what, value]) => ({ id: 'HS11', what: what!, send: post(`Content-Length: ${value}`, 'hello'), status: 400 }))

const FIELD_SYNTAX: readonly RefusedCase[] = [
  ['obs-fold', 'Host: a\r\nX-A: one\r\n two'], ['obs-fold with a tab', 'Host: a\r\nX-A: one\r\n\ttwo'], ['obs-fold of the length', 'Host: a\r\nContent-Length:\r\n 5'],
  ['bare CR in a value', 'Host: a\r\nX-A: one\rX-B: two'], ['bare CR before the end', 'Host: a\r\nX-A: one\r\r\nX-B: two'],
  ['bare LF between fields', 'Host: a\nX-A: one'], ['bare LF behind the last field', 'Host: a\r\nX-A: one\n'],
  ['NUL in a value', 'Host: a\r\nX-A: o\x00ne'], ['a control in a value', 'Host: a\r\nX-A: o\x07ne'], ['DEL in a value', 'Host: a\r\nX-A: o\x7fne'],
  ['space before the colon', 'Host: a\r\nX-A : one'], ['tab before the colon', 'Host: a\r\nX-A\t: one'], ['space before the colon of a framing field', 'Host: a\r\nContent-Length : 5'],
  ['an empty name', 'Host: a\r\n: one'], ['no colon', 'Host: a\r\nX-A one'], ['a space before the first field', ' Host: a'], ['a blank first line of fields', ' \r\nHost: a'],
  ['NUL in a name', 'Host: a\r\nX\x00A: one'], ['a non-ASCII name', 'Host: a\r\nX-Session-Assertion\x85: one'], ['brackets in a name', 'Host: a\r\nX[A]: one'],
].map(([what, lines]) => ({ id: 'HS14', what: what!, send: get(lines!), status: 400 }))

const REQUEST_LINES: readonly RefusedCase[] = [
  ['HTTP/1.2', 'GET / HTTP/1.2', [400, 505]], ['HTTP/9.9', 'GET / HTTP/9.9', [400, 505]], ['HTTP/2.0', 'GET / HTTP/2.0', [400, 505]],
  ['a version in lower case', 'GET / http/1.1', 400], ['a long version', 'GET / HTTP/1.10', [400, 505]], ['no version digits', 'GET / HTTP/', [400, 505]],
  ['a method in lower case', 'get / HTTP/1.1', 400], ['an unknown method', 'FOO / HTTP/1.1', 400], ['a method glued to the last', 'XGET / HTTP/1.1', 400],
  ['a tab behind the method', 'GET\t/ HTTP/1.1', 400], ['a tab before the version', 'GET /\tHTTP/1.1', 400],
  ['a space in the target', 'GET /a b HTTP/1.1', 400], ['a bare CR in the line', 'GET /\rHTTP/1.1', 400], ['a bare LF behind the line', 'GET / HTTP/1.1\nX-A: b', [400, 505]],
  ['NUL in the target', 'GET /a\x00b HTTP/1.1', 400], ['the HTTP/2 preface', 'PRI * HTTP/2.0', [400, 505]], ['another protocol', 'GET / ICE/1.0', 400],
].map(([what, line, status]) => ({ id: 'HS20', what: what as string, send: `${line as string}\r\nHost: a\r\n\r\n`, status: status as number | number[] }))

const HOSTS: readonly RefusedCase[] = [
  ['two', 'Host: a\r\nHost: b'], ['the same twice', 'Host: a\r\nHost: a'], ['two spellings', 'Host: a\r\nhOST: a'], ['empty', 'Host:'], ['missing', 'X-A: b'],
  ['a path', 'Host: a/../b'], ['a space', 'Host: a b'], ['userinfo', 'Host: user@a'], ['userinfo with a password', 'Host: user:pass@a'], ['a list', 'Host: a, b'],
  ['a fragment', 'Host: a#b'], ['a query', 'Host: a?b'], ['a port of letters', 'Host: a:http'], ['a port of six digits', 'Host: a:123456'], ['an open bracket', 'Host: [::1'],
  ['a backslash', 'Host: a\\b'], ['percent encoding', 'Host: a%2eb'], ['quotes', 'Host: "a"'], ['non-ASCII', 'Host: \xe4'], ['a tag', 'Host: <script>'],
].map(([what, lines]) => ({ id: 'HS16', what: what!, send: get(lines!), status: 400 }))

const OLD: readonly RefusedCase[] = [
  { id: 'N19', what: 'Transfer-Encoding in HTTP/1.0', send: `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`, status: 400 },
  { id: 'N19', what: 'the same, kept alive', send: `POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}${SMUGGLED}`, status: 400 },
  { id: 'HS20', what: 'HTTP/0.9', send: 'GET /\r\n\r\n', status: [400, 505] },
  { id: 'HS20', what: 'HTTP/0.9 with a space', send: 'GET / \r\n\r\n', status: [400, 505] },
]

const FIELDS_BEYOND_COUNT = 'a:1\r\n'.repeat(1_100)
const COUNTS: readonly RefusedCase[] = [
  ['a chunked body', `${FIELDS_BEYOND_COUNT}Transfer-Encoding: chunked`], ['a length', `${FIELDS_BEYOND_COUNT}Content-Length: 5`],
  ['a cookie', `${FIELDS_BEYOND_COUNT}Cookie: sid=x`], ['an assertion', `${FIELDS_BEYOND_COUNT}X-Session-Assertion: x`],
].map(([what, lines]) => ({ id: 'HS13', what: `1100 fields hiding ${what}`, send: post(lines!, what === 'a chunked body' ? CHUNKED : SMUGGLED), status: 431 }))

describe.each<[string, readonly RefusedCase[]]>([
  ['both Content-Length and Transfer-Encoding', LENGTH_AND_ENCODING], ['Transfer-Encoding', ENCODINGS], ['Content-Length', LENGTHS],
  ['field syntax', FIELD_SYNTAX], ['request lines', REQUEST_LINES], ['Host', HOSTS], ['old versions', OLD], ['field count', COUNTS],
])('refused with the connection closed, unseen by the upstream: %s', (_family, cases) => {
  test.each(cases)('$id $what', async (row) => {
    const reply = await expectRefused(world, row)
    expect(reply.body.toString('latin1')).not.toContain('smuggled')
  })
})

test('HS20 HTTP/0.9 gets no body: its client would take any byte for one', async () => {
  using client = await connectRaw(world.url)
  const reply = await client.request('GET /\r\n\r\n')
  expect(reply.text).toBe('')
})

// The head is good and goes on to the upstream; the body turns out bad. The upstream must not take what came for the whole.
const BROKEN_BODIES: ReadonlyArray<readonly [string, string]> = [
  ['a hexadecimal prefix', '0x2\r\nab\r\n0\r\n\r\n'], ['a space behind the size', '2 \r\nab\r\n0\r\n\r\n'], ['a negative size', '-1\r\nab\r\n0\r\n\r\n'],
  ['a size beyond 64 bits', 'fffffffffffffffff\r\nab\r\n'], ['a size of letters', 'zz\r\nab\r\n0\r\n\r\n'],
  ['LF alone behind the size', '2\nab\r\n0\r\n\r\n'], ['LF alone behind the data', '2\r\nab\n0\r\n\r\n'], ['CR alone behind the data', '2\r\nab\r0\r\n\r\n'], ['no size', '\r\nab\r\n0\r\n\r\n'],
  ['data longer than its size', '2\r\nabc\r\n0\r\n\r\n'], ['a plus sign', '+2\r\nab\r\n0\r\n\r\n'], ['an underscore', '1_0\r\nab\r\n0\r\n\r\n'], ['a bad trailer', '2\r\nab\r\n0\r\nbad trailer\r\n\r\n'],
  ['an extension with a bare LF', '2;a\nb\r\nab\r\n0\r\n\r\n'], ['an extension with a bare CR', '2;a\rb\r\nab\r\n0\r\n\r\n'], ['a trailer with a bare LF', '2\r\nab\r\n0\r\nX-A: b\n\r\n'],
]

test.each(BROKEN_BODIES)('HS15 a chunked body with %s: 400, and the upstream sees an abort, never an end', async (_what, body) => {
  world.upstream.forget()
  using client = await connectRaw(world.url)
  const reply = await client.request(`POST /broken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`)
  expect(reply.status).toBe(400)
  expect(await client.waitForClose()).toBe('fin')
  await expectNothingComplete()
})

test.each([
  ['before the length is reached', 'Content-Length: 10\r\n\r\nhello'],
  ['before the last chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['before the end of the last chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n'],
])('N28 a client that ends %s has sent no request', async (_what, rest) => {
  world.upstream.forget()
  using client = await connectRaw(world.url)
  void client.send(`POST /cut HTTP/1.1\r\nHost: a\r\n${rest}`)
  await world.upstream.waitForConnections(1)
  client.halfClose()
  await client.waitForClose()
  await expectNothingComplete()
})

async function expectNothingComplete(): Promise<void> {
  const next = await world.newClient().get('/next-ordinary-request')
  expect(next.status).toBe(200)
  expect(world.upstream.requests.filter(({ truncated, framingError }) => !truncated && !framingError).map(({ target }) => target)).toEqual(['/next-ordinary-request'])
}

test('N27 chunk extensions are read over, bounded, and not passed on', async () => {
  world.upstream.forget()
  using client = await connectRaw(world.url)
  const reply = await client.request('POST /extended HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;name=value;q="x"\r\nab\r\n1\r\nc\r\n0;last\r\n\r\n')
  expect(reply.status).toBe(200)
  expect(world.upstream.lastRequest.body.toString()).toBe('abc')
  expect(world.upstream.lastRequest.rawBytes.toString('latin1')).not.toContain('name=value')
})

test('N27 a megabyte of chunk extensions is refused early', async () => {
  world.upstream.forget()
  using client = await connectRaw(world.url)
  const reply = await client.request(`POST /extended HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(1_000_000)}\r\na\r\n0\r\n\r\n`)
  expect([400, 413]).toContain(reply.status)
  await expectUpstreamSawNothing(world)
})
