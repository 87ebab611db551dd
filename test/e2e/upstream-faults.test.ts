import { describe, expect, test } from 'vitest'
import { watchCrashes } from '../support/crash-oracle.ts'
import { connectRaw, NoResponseError, type RawReply } from '../support/raw-client.ts'
import { rawResponse, step, type Answer } from '../support/raw-upstream.ts'
import type { HeaderList } from '../support/http-framing.ts'
import { startWorld, type World } from '../support/world.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const HEAD = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'
const GET_1_0 = 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'
const PATCH: HeaderList = [['X-Session-Patch', '{"stored":true}']]

interface Row {
  readonly id: string
  readonly what: string
  readonly answer: Answer
  readonly send?: string
  /** A status; `cut` for a response that visibly lacks its end. */
  readonly expect: number | 'cut'
  readonly body?: string
}

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`
const ok = (...fields: string[]): string => head('HTTP/1.1 200 OK', ...fields)
const filler = (count: number, size: number): HeaderList => Array.from({ length: count }, (_, n) => [`F-${n}`, 'x'.repeat(size)] as const)

const rows: readonly Row[] = [
  { id: 'UP4', what: 'a reset before any byte', answer: step.reset(), expect: 502 },
  { id: 'UP4', what: 'a close before any byte', answer: step.end(), expect: 502 },
  { id: 'UP4', what: 'a reset within the head', answer: ['HTTP/1.1 200 OK\r\nA: ', step.reset()], expect: 502 },
  { id: 'UP4', what: 'a close within the head', answer: ['HTTP/1.1 200 OK\r\nA: ', step.end()], expect: 502 },
  { id: 'UP4', what: 'a reset after the head, chunked', answer: [ok('Transfer-Encoding: chunked'), step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a close after the head, chunked', answer: [ok('Transfer-Encoding: chunked'), step.end()], expect: 'cut' },
  { id: 'UP4', what: 'a reset within a chunk', answer: [ok('Transfer-Encoding: chunked'), '5\r\nab', step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a close between chunks', answer: [ok('Transfer-Encoding: chunked'), '2\r\nab\r\n', step.end()], expect: 'cut' },
  { id: 'UP4', what: 'a reset after the head, with a length', answer: [ok('Content-Length: 5'), step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a reset within a length', answer: [ok('Content-Length: 5'), 'ab', step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a close within a length', answer: [ok('Content-Length: 5'), 'ab', step.end()], expect: 'cut' },
  { id: 'UP4', what: 'a reset of a close-delimited body', answer: [ok('Connection: close'), 'ab', step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a reset of a close-delimited body, later', answer: [ok('Connection: close'), 'ab', step.delay(20), step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'an orderly end of a close-delimited body', answer: [ok('Connection: close'), 'ab', step.end()], expect: 200, body: 'ab' },
  { id: 'UP4', what: 'a cut body for an HTTP/1.0 client', send: GET_1_0, answer: [ok('Transfer-Encoding: chunked'), '2\r\nab\r\n', step.delay(20), step.reset()], expect: 'cut' },
  { id: 'UP4', what: 'a whole body for an HTTP/1.0 client', send: GET_1_0, answer: rawResponse({ chunks: ['ab', 'c'] }), expect: 200, body: 'abc' },

  { id: 'UP6', what: 'status 099', answer: head('HTTP/1.1 099 Low', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'status 1000', answer: head('HTTP/1.1 1000 High', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'status 600', answer: head('HTTP/1.1 600 High', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'status 20', answer: head('HTTP/1.1 20 Short', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'no status', answer: head('HTTP/1.1 OK', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'a control byte in the reason', answer: head('HTTP/1.1 200 O\x01K', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'NUL in the reason', answer: head('HTTP/1.1 200 O\0K', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'no reason', answer: head('HTTP/1.1 200', 'Content-Length: 0'), expect: 200 },
  { id: 'UP6', what: 'a latin-1 reason', answer: head('HTTP/1.1 200 D\xe9j\xe0 vu', 'Content-Length: 0'), expect: 200 },
  { id: 'UP6', what: '0x01 in a field', answer: ok('A: b\x01c', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'NUL in a field', answer: ok('A: b\0c', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'a bare CR in a field', answer: ok('A: b\rc', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'a space before the colon', answer: ok('A : b', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'a space in a name', answer: ok('A b: c', 'Content-Length: 0'), expect: 502 },
  { id: 'UP6', what: 'not HTTP at all', answer: ['SSH-2.0-OpenSSH_9.2p1 Debian\r\n', step.end()], expect: 502 },
  { id: 'UP6', what: 'not HTTP at all and short', answer: ['oops', step.end()], expect: 502 },
  { id: 'UP6', what: 'a TLS alert', answer: ['\x15\x03\x01\x00\x02\x02\x28', step.end()], expect: 502 },

  { id: 'UP7', what: 'a head of 64 KB', answer: rawResponse({ headers: [...PATCH, ...filler(8, 8_192)], body: 'x' }), expect: 502 },
  { id: 'UP7', what: 'one field of 64 KB', answer: rawResponse({ headers: [...PATCH, ['A', 'x'.repeat(65_536)]], body: 'x' }), expect: 502 },
  { id: 'UP7', what: 'a head of endless fields', answer: ['HTTP/1.1 200 OK\r\n', step.pour(10_000_000)], expect: 502 },

  { id: 'UP9', what: '101 to a plain GET', answer: head('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'), expect: 502 },
  { id: 'UP9', what: 'a bare 101 to a plain GET', answer: head('HTTP/1.1 101 Switching Protocols'), expect: 502 },
  { id: 'UP9', what: 'three 103 and an answer', answer: [...Array(3).fill(head('HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload')) as string[], rawResponse({ body: 'ok' })], expect: 200, body: 'ok' },
  { id: 'UP9', what: 'a thousand 103', answer: [...Array(1_000).fill(head('HTTP/1.1 103 Early Hints')) as string[], rawResponse({ body: 'ok' })], expect: 502 },
  { id: 'UP9', what: 'a thousand 100', answer: [...Array(1_000).fill(head('HTTP/1.1 100 Continue')) as string[], rawResponse({ body: 'ok' })], expect: 502 },
  { id: 'UP9', what: 'a 100 nobody asked for', answer: [head('HTTP/1.1 100 Continue'), rawResponse({ body: 'ok' })], expect: 200, body: 'ok' },
  { id: 'UP9', what: 'a 100 with fields, a 102, a 100 without a reason', answer: [head('HTTP/1.1 100 Continue', 'A: b'), head('HTTP/1.1 102 Processing'), head('HTTP/1.1 100'), rawResponse({ body: 'ok' })], expect: 200, body: 'ok' },
  { id: 'UP9', what: 'a 100 that comes byte by byte', answer: [step.drip(head('HTTP/1.1 100 Continue'), 1), step.drip(head('HTTP/1.1 103 Early Hints'), 1), step.drip(rawResponse({ body: 'ok' }), 1)], expect: 200, body: 'ok' },
  { id: 'UP9', what: 'a body that looks like a 100', answer: rawResponse({ chunks: [head('HTTP/1.1 100 Continue'), 'ok'] }), expect: 200, body: `${head('HTTP/1.1 100 Continue')}ok` },
  { id: 'UP9', what: 'only a 100', answer: [head('HTTP/1.1 100 Continue'), step.end()], expect: 502 },

  { id: 'UP10', what: 'Content-Length and chunked', answer: [ok('Content-Length: 2', 'Transfer-Encoding: chunked'), '2\r\nok\r\n0\r\n\r\n'], expect: 502 },
  { id: 'UP10', what: 'two different lengths', answer: [ok('Content-Length: 2', 'Content-Length: 3'), 'abc'], expect: 502 },
  { id: 'UP10', what: 'two equal lengths', answer: [ok('Content-Length: 2', 'Content-Length: 2'), 'ok'], expect: 502 },
  { id: 'UP10', what: 'a list of lengths', answer: [ok('Content-Length: 2, 2'), 'ok'], expect: 502 },
  { id: 'UP10', what: 'a length that is no number', answer: [ok('Content-Length: 0x2'), 'ok'], expect: 502 },
  { id: 'UP10', what: 'a negative length', answer: [ok('Content-Length: -1'), 'ok'], expect: 502 },
  { id: 'UP10', what: 'a length of 20 digits', answer: [ok('Content-Length: 99999999999999999999'), 'ok'], expect: 502 },
  { id: 'UP10', what: 'a transfer coding we did not ask for', answer: [ok('Transfer-Encoding: gzip, chunked'), '2\r\nok\r\n0\r\n\r\n'], expect: 502 },
  { id: 'UP10', what: 'a transfer coding alone', answer: [ok('Transfer-Encoding: gzip'), 'ok', step.end()], expect: 502 },
  { id: 'UP10', what: 'CHUNKED', answer: [ok('Transfer-Encoding: CHUNKED'), '2\r\nok\r\n0\r\n\r\n'], expect: 200, body: 'ok' },
  { id: 'UP10', what: 'a chunk size that is no number', answer: [ok('Transfer-Encoding: chunked'), 'zz\r\nok\r\n0\r\n\r\n'], expect: 'cut' },
  { id: 'UP10', what: 'a chunk longer than its size', answer: [ok('Transfer-Encoding: chunked'), '2\r\nabc\r\n0\r\n\r\n'], expect: 'cut' },
  { id: 'UP10', what: 'more bytes than the length', answer: rawResponse({ headers: [['Content-Length', '2']], body: 'ok and more' }), expect: 200, body: 'ok' },
  { id: 'UP10', what: 'a second answer behind the first', answer: [rawResponse({ body: 'ok' }), rawResponse({ body: 'for nobody' })], expect: 200, body: 'ok' },

  { id: 'UP11', what: 'a body to HEAD', send: HEAD, answer: rawResponse({ body: 'not asked for' }), expect: 200, body: '' },
  { id: 'UP11', what: 'a body to 204', answer: rawResponse({ status: 204, body: 'not allowed' }), expect: 204, body: '' },
  { id: 'UP11', what: 'a body to 304', answer: rawResponse({ status: 304, body: 'not allowed' }), expect: 304, body: '' },
  { id: 'UP11', what: 'a chunked body to 204', answer: rawResponse({ status: 204, chunks: ['no'] }), expect: 204, body: '' },
]

/** The reply, or the fact that it was cut. A connection that ends without a head counts as neither. */
async function outcomeOf(world: World, bytes: string): Promise<{ reply: RawReply; outcome: number | 'cut' }> {
  await using client = await connectRaw(world.url)
  const reply = await client.request(bytes)
  return { reply, outcome: reply.truncated ? 'cut' : reply.status }
}

describe('whatever an upstream answers, its client knows what it got and the next one is untouched', () => {
  test.each(rows)('$id: $what -> $expect', async ({ answer, send = GET, expect: expected, body }) => {
    await using world = await startWorld()
    world.upstream.respondOnce(answer)
    const { reply, outcome } = await outcomeOf(world, send)
    expect(outcome).toBe(expected)
    if (body !== undefined) expect(reply.body.toString('latin1')).toBe(body)
    if (expected === 502) expect(reply.header('set-cookie')).toBeUndefined()
    expect(reply.headers.map(([name]) => name.toLowerCase())).not.toContain('x-session-patch')

    const next = await world.client.get('/next')
    expect(next).toMatchObject({ status: 200, body: 'ok' })
    expect(world.upstream.lastRequest.target).toBe('/next')
  })

  test('all of them on one gateway, mixed with ordinary visitors: no crash, no leak, nobody gets another one\'s answer', async () => {
    await using world = await startWorld()
    world.upstream.respond((request) => rawResponse({ body: `for ${request.target}` }))
    for (let warmUp = 0; warmUp < 5; warmUp++) await world.client.get('/')
    using oracle = watchCrashes({ extraDescriptors: 16 })
    for (const { answer, send = GET } of rows) {
      world.upstream.respondOnce(answer)
      await outcomeOf(world, send).catch((error: unknown) => expect(error).toBeInstanceOf(NoResponseError))
      const visitors = await Promise.all([1, 2, 3].map((n) => world.client.get(`/visitor-${n}`)))
      expect(visitors.map(({ body }) => body)).toEqual(['for /visitor-1', 'for /visitor-2', 'for /visitor-3'])
    }
    await oracle.assertClean()
  })
})

describe('UP5: a kept connection that the upstream closes as we send', () => {
  test.each([
    ['close', step.end()],
    ['reset', step.reset()],
  ] as const)('%s: a GET is sent once more', async (_how, ending) => {
    await using world = await startWorld()
    await world.client.get('/warm-up')
    world.upstream.respondOnce(ending)
    expect(await world.client.get('/again')).toMatchObject({ status: 200, body: 'ok' })
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/warm-up', '/again', '/again'])
  })

  test('a GET is sent once more, not twice', async () => {
    await using world = await startWorld()
    await Promise.all([1, 2, 3].map(() => world.client.get('/warm-up')))
    world.upstream.respond(step.end())
    expect(await world.client.get('/again')).toMatchObject({ status: 502 })
    expect(world.upstream.requests.filter(({ target }) => target === '/again')).toHaveLength(2)
  })

  test('a GET on a fresh connection is not sent again: the upstream may have died of it', async () => {
    await using world = await startWorld()
    world.upstream.respondOnce(step.end())
    expect(await world.client.get('/poison')).toMatchObject({ status: 502 })
    expect(world.upstream.requestCount).toBe(1)
  })

  test('a GET whose answer has begun is not sent again', async () => {
    await using world = await startWorld()
    await world.client.get('/warm-up')
    world.upstream.respondOnce(['HTTP/1.1 2', step.end()])
    expect(await world.client.get('/begun')).toMatchObject({ status: 502 })
    expect(world.upstream.requestCount).toBe(2)
  })

  test.each([
    ['POST with a body', 'POST', 'x'],
    ['POST without a body', 'POST', undefined],
    ['DELETE', 'DELETE', undefined],
    ['GET with a body', 'GET', 'x'],
  ] as const)('%s: 502, delivered once', async (_what, method, body) => {
    await using world = await startWorld()
    await world.client.get('/warm-up')
    world.upstream.respondOnce(step.end())
    expect(await world.client.request(method, '/once', body === undefined ? {} : { body })).toMatchObject({ status: 502 })
    expect(world.upstream.requests.filter(({ target }) => target === '/once')).toHaveLength(1)
  })
})

test('UP7: 1200 response fields all arrive, and a mutation behind them counts', async () => {
  await using world = await startWorld()
  const many = Array.from({ length: 1_200 }, (_, n) => [`F-${n}`, `${n}`] as const)
  world.upstream.respondOnce(rawResponse({ headers: [...many, ...PATCH], body: 'ok' }))
  await using client = await connectRaw(world.url)
  const reply = await client.request(GET)
  expect(reply.status).toBe(200)
  expect(reply.headers.filter(([name]) => name.startsWith('F-'))).toEqual(many)
  expect(reply.header('set-cookie')).toMatch(/^sid=/)
  expect(reply.header('x-session-patch')).toBeUndefined()
})

test('UP6: latin-1 octets of fields pass as they are', async () => {
  await using world = await startWorld()
  world.upstream.respondOnce(head('HTTP/1.1 200 D\xe9j\xe0', 'A: caf\xe9 \xff', 'Content-Length: 0'))
  await using client = await connectRaw(world.url)
  const reply = await client.request(GET)
  expect(reply.header('a')).toBe('caf\xe9 \xff')
  expect(reply.reason).toBe('')
})

test('UP9: of early hints the Link fields reach the client, at most eight times', async () => {
  await using world = await startWorld()
  const hint = head('HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload', 'X-Session-Patch: {"a":1}', 'Set-Cookie: x=y')
  world.upstream.respondOnce([...Array<string>(12).fill(hint), rawResponse({ body: 'ok' })])
  await using client = await connectRaw(world.url)
  const reply = await client.request(GET)
  expect(reply.interim).toHaveLength(8)
  for (const interim of reply.interim) expect(interim.headers).toEqual([['Link', '</a.css>; rel=preload']])
  expect(reply.header('set-cookie')).toBeUndefined()
})
