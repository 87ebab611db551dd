import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { expectRefused } from '../support/refusals.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'

// What a client may cost: sizes, counts, expectations; and that it can read why it was refused (N10, N33, N34, RX1, RX4).

const LIMIT = 10_000
let world: World
beforeAll(async () => {
  world = await startWorld({ limits: { maxBody: '10000B', maxTargetBytes: '8KB', maxHeaderBytes: '16KB', maxHeaderCount: 100 } })
})
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`

describe('RX4 a body over the limit: 413', () => {
  test('by Content-Length: before a byte of it was sent, and the upstream knows nothing of it', async () => {
    await expectRefused(world, { id: 'RX4', what: '', send: `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`, status: 413, closes: false })
  })

  test('at the limit it passes, one byte over it does not', async () => {
    for (const [bytes, status] of [[LIMIT, 200], [LIMIT + 1, 413]] as const) {
      expect((await rawRequest(world.url, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`)).status).toBe(status)
      expect((await rawRequest(world.url, `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(bytes)}0\r\n\r\n`)).status).toBe(status)
    }
  })

  test('chunked: as soon as it is over, and the upstream sees an abort, never an end', async () => {
    using client = await connectRaw(world.url)
    const reply = await client.request(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(6_000)}${chunk(6_000)}`)
    expect(reply.status).toBe(413)
    await waitFor(() => world.upstream.requests.every(({ truncated }) => truncated), 'the upload to be aborted upstream')
    await world.client.get('/next')
    expect(world.upstream.requests.filter(({ truncated }) => !truncated).map(({ target }) => target)).toEqual(['/next'])
  })

  test.each(['Content-Length: 4000000', 'Transfer-Encoding: chunked'])('N33 the client can read the 413 while it is still sending (%s)', async (framing) => {
    using client = await connectRaw(world.url)
    const piece = framing.startsWith('T') ? chunk(50_000) : 'x'.repeat(50_000)
    void client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    client.pause()
    for (let i = 0; i < 40; i++) await client.send(piece)
    client.resume()
    const reply = await client.readResponse()
    expect(reply.status).toBe(413)
    expect(reply.header('connection')).toBe('close')
    expect(reply.truncated).toBe(false)
  })

  test('a limit of the route wins over the general one', async () => {
    await using other = await startWorld({ routes: [{}, { path: '/upload', maxBody: '1MB' }, { path: '/tiny', maxBody: '1B' }], limits: { maxBody: '1KB' } })
    for (const [path, bytes, status] of [['/', 1_025, 413], ['/upload', 500_000, 200], ['/tiny', 2, 413], ['/tiny', 1, 200]] as const) {
      expect((await other.client.post(path, { body: 'x'.repeat(bytes) })).status).toBe(status)
    }
  })
})

describe('N34 a head over the limits', () => {
  test.each<[string, string, number]>([
    ['a target of 9 KB', `GET /${'a'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a query of 9 KB', `GET /?${'a'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a field of 17 KB', `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(17_000)}\r\n\r\n`, 431],
    ['fields of 17 KB together', `GET / HTTP/1.1\r\nHost: a\r\n${`X-A: ${'a'.repeat(1_000)}\r\n`.repeat(17)}\r\n`, 431],
    ['a field name of 17 KB', `GET / HTTP/1.1\r\nHost: a\r\n${'a'.repeat(17_000)}: b\r\n\r\n`, 431],
    ['101 fields', `GET / HTTP/1.1\r\nHost: a\r\n${'a:1\r\n'.repeat(100)}\r\n`, 431],
    ['a head that never ends', `GET / HTTP/1.1\r\nHost: a\r\n${'a:1\r\n'.repeat(10_000)}`, 431],
  ])('%s', async (what, send, status) => {
    await expectRefused(world, { id: 'N34', what, send, status })
  })

  test('at the limits it passes', async () => {
    expect((await rawRequest(world.url, `GET /${'a'.repeat(8_191)} HTTP/1.1\r\nHost: a\r\n\r\n`)).status).toBe(200)
    expect((await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\n${'a:1\r\n'.repeat(99)}\r\n`)).status).toBe(200)
  })
})

describe('N10 expectations', () => {
  test.each(['99-continue', 'foo', '100-continue, foo', 'foo=bar, 100-continue', ''])('%j: 417, the upstream knows nothing', async (value) => {
    await expectRefused(world, { id: 'N10', what: value, send: `POST / HTTP/1.1\r\nHost: a\r\nExpect: ${value}\r\nContent-Length: 2\r\n\r\nab`, status: 417 })
  })

  test('two, one of them unknown: 417', async () => {
    await expectRefused(world, { id: 'N10', what: '', send: 'POST / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab', status: 417 })
  })

  test.each<[string, string, number]>([
    ['no route', 'POST /none', 404], ['no session', 'POST /private', 401], ['too large', 'POST /', 413], ['a bad target', 'POST /a#b', 400],
  ])('refused for %s: the final status comes without a 100', async (what, line, status) => {
    await using other = await startWorld({ routes: [{ host: 'x', path: '/' }, { path: '/private', session: 'require' }, { path: '/free' }], limits: { maxBody: '1KB' } })
    using client = await connectRaw(other.url)
    const host = what === 'too large' ? 'x' : 'a'
    const reply = await client.request(`${line} HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: ${what === 'too large' ? 2_000 : 5}\r\n\r\n`)
    expect(reply.status).toBe(status)
    expect(reply.interim).toEqual([])
    expect(reply.header('connection')).toBe('close')
    expect(other.upstream.requests).toHaveLength(0)
  })

  test('a client of HTTP/1.0 gets no 100', async () => {
    const reply = await rawRequest(world.url, 'POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab')
    expect(reply.status).toBe(200)
    expect(reply.interim).toEqual([])
    expect(world.upstream.lastRequest.header('expect')).toBeUndefined()
  })

  test('a request that is served gets one 100, before anything is read of its body', async () => {
    using client = await connectRaw(world.url)
    void client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n')
    expect((await client.read(25)).toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    const reply = await client.request('hello')
    expect(reply.status).toBe(200)
    expect(reply.interim).toEqual([])
    expect(world.upstream.lastRequest.body.toString()).toBe('hello')
  })
})

test('429 per client address, with a time to come again', async () => {
  await using other = await startWorld({ limits: { requestsPerSecond: 5 } })
  const replies = []
  for (let i = 0; i < 20; i++) replies.push(await other.client.get('/'))
  expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(10)
  const refused = replies.filter(({ status }) => status === 429)
  expect(refused.length).toBeGreaterThan(0)
  for (const reply of refused) expect(reply.fields).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store', 'vary': 'Cookie' })
})

const VISITORS = Number(process.env['REQUESTS'] ?? 2_000)

test(`RX1 ${VISITORS} visitors without a session leave no record`, { timeout: 60_000 + VISITORS * 5 }, async () => {
  await using other = await startWorld()
  using client = await connectRaw(other.url, { keep: false })
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  for (let sent = 0; sent < VISITORS; sent += 100) {
    void client.send(request.repeat(100))
    for (let i = 0; i < 100; i++) {
      const reply = await client.readResponse()
      if (reply.status !== 200 || reply.header('set-cookie') !== undefined) throw new Error(`unexpected: ${reply.rawHead}`)
    }
  }
  const calls = (await other.metrics.registry.getSingleMetricAsString('sessiongate_store_calls_total')).split('\n').filter((line) => !line.startsWith('#'))
  expect(calls).toEqual([])
  expect(other.lastClaims()).toMatchObject({ new: true })
})

test('a refusal is an answer in full: problem+json for programs, a page for browsers, nothing of us inside', async () => {
  for (const [accept, type] of [['application/json', 'application/problem+json'], ['text/html', 'text/html; charset=utf-8']] as const) {
    const reply = await world.client.get('/a%2f..%2fb', { headers: { accept } })
    expect(reply.status).toBe(400)
    expect(reply.fields).toMatchObject({ 'content-type': type, 'cache-control': 'no-store', 'vary': 'Cookie', 'x-content-type-options': 'nosniff' })
    expect(reply.body).not.toMatch(/node:|at \w+ \(|\/src\//)
  }
})

test('an answer that ends with the upload still coming does not end the next connection too', async () => {
  world.upstream.respondOnce(rawResponse({ status: 403, reason: 'Forbidden', body: 'no' }))
  expect((await world.client.post('/', { body: 'x'.repeat(9_000) })).status).toBe(403)
  expect((await world.client.get('/')).status).toBe(200)
})
