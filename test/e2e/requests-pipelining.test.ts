import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { rawResponse, step, type Script } from '../support/raw-upstream.ts'
import { connectRaw } from '../support/raw-client.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld } from '../support/world.ts'

// One connection, several requests: answers in order, nothing behind an answer that closes (N31, RFC 9112 section 9.3.2).

const get = (target: string, lines = ''): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
const nameItself: Script = ({ target }) => rawResponse({ body: target })

describe('pipelined requests', () => {
  test('CL6 are answered in order, also when the first is slow and the last has a body', async () => {
    await using world = await startWorld()
    world.upstream.respond((request) => [...request.target === '/slow' ? [step.delay(100)] : [], rawResponse({ body: `${request.target} ${request.body.toString()}` })])
    using client = await connectRaw(world.url)
    void client.send(`${get('/slow')}${get('/fast')}POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${get('/last')}`)
    for (const expected of ['/slow ', '/fast ', '/body hello', '/last ']) expect((await client.readResponse()).text).toBe(expected)
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/slow', '/fast', '/body', '/last'])
  })

  test('are worked on one at a time: whoever sends many does not get more of the upstream than whoever sends one', async () => {
    await using world = await startWorld()
    let now = 0
    let most = 0
    world.upstream.respond(() => {
      most = Math.max(most, ++now)
      return [step.delay(2), rawResponse({ body: 'ok' }), { play: async () => { now--; return 'continue' } }]
    })
    using client = await connectRaw(world.url)
    void client.send(get('/one').repeat(50))
    for (let i = 0; i < 50; i++) expect((await client.readResponse()).status).toBe(200)
    expect(most).toBe(1)
  })

  test('twenty thousand waiting requests are not read ahead: the client meets back-pressure', async () => {
    await using world = await startWorld()
    let answer = (): void => {}
    const mayAnswer = new Promise<void>((resolve) => { answer = resolve })
    world.upstream.respondOnce([step.wait(mayAnswer), rawResponse({ body: 'first' })])
    using client = await connectRaw(world.url)
    const all = client.send(get('/n', `X-Filler: ${'x'.repeat(1_000)}\r\n`).repeat(20_000))
    const outcome = await Promise.race([all.then(() => 'all taken'), sleep(500, 'held back')])
    expect(outcome).toBe('held back')
    answer()
    for (let i = 0; i < 300; i++) expect((await client.readResponse()).status).toBe(200)
  })

  test('a client that leaves takes its waiting requests with it', async () => {
    await using world = await startWorld()
    world.upstream.respond(step.stall())
    using client = await connectRaw(world.url)
    void client.send(get('/first') + get('/second'))
    await world.upstream.waitForRequests(1)
    client.reset()
    await waitFor(() => !world.upstream.requests[0]!.connection.isOpen, 'the upstream work to be cancelled')
    world.upstream.respond(nameItself)
    await world.client.get('/next')
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/first', '/next'])
  })
})

describe('nothing is served behind an answer that closes the connection', () => {
  const smuggled = get('/smuggled')
  test.each([
    ['a refused coding', `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a refused Host', `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n${smuggled}`], ['a fragment', `${get('/a#b')}${smuggled}`], ['too many fields', `${get('/', 'a:1\r\n'.repeat(300))}${smuggled}`],
    ['a length too large', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n${smuggled}`],
    ['HTTP/0.9', `GET /\r\n\r\n${smuggled}`], ['CONNECT', `CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n${smuggled}`],
    ['an upgrade to something else', `${get('/', 'Connection: Upgrade\r\nUpgrade: h2c\r\n')}${smuggled}`],
  ])('%s', async (_what, bytes) => {
    await using world = await startWorld()
    using client = await connectRaw(world.url)
    const reply = await client.request(bytes)
    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(await client.waitForClose()).toBe('fin')
    await world.client.get('/next')
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/next'])
  })

  test('a request that asks for the end gets its answer; what follows it is dropped', async () => {
    await using world = await startWorld()
    world.upstream.respond((request) => [step.delay(50), rawResponse({ body: request.target })])
    using client = await connectRaw(world.url)
    const reply = await client.request(get('/last', 'Connection: close\r\n') + smuggled)
    expect(reply.text).toBe('/last')
    expect(await client.waitForClose()).toBe('fin')
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/last'])
  })
})

describe('what comes behind a good request and cannot be read', () => {
  test.each([
    ['garbage', '\x01\x02 nonsense\r\n\r\n'], ['an upgrade', get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n')],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'], ['HTTP/0.9', 'GET /\r\n\r\n'],
  ])('%s: the good one is answered whole, then the connection ends', async (_what, bytes) => {
    await using world = await startWorld()
    world.upstream.respond((request) => [step.delay(50), rawResponse({ body: `${request.target} ${'x'.repeat(100_000)}` })])
    using client = await connectRaw(world.url)
    const reply = await client.request(get('/good') + bytes)
    expect(reply.status).toBe(200)
    expect(reply.body.length).toBe(100_006)
    expect(await client.waitForClose()).toBe('fin')
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/good'])
  })

  test('garbage while the answer is being sent does not cut it', async () => {
    await using world = await startWorld()
    let finish = (): void => {}
    const mayFinish = new Promise<void>((resolve) => { finish = resolve })
    world.upstream.respondOnce([rawResponse({ headers: [['Content-Length', '4']] }), 'ab', step.wait(mayFinish), 'cd'])
    using client = await connectRaw(world.url)
    await client.send(get('/good'))
    await waitFor(() => client.received.includes('ab'))
    await client.send('garbage\r\n\r\n')
    await world.client.get('/meanwhile')           // the garbage has been read by then
    finish()
    expect((await client.readResponse()).text).toBe('abcd')
    expect(await client.waitForClose()).toBe('fin')
  })
})

test('N32 a connection of HTTP/1.0 is not kept, and gets no chunks', async () => {
  await using world = await startWorld()
  world.upstream.respond(rawResponse({ chunks: ['one ', 'two'] }))
  using client = await connectRaw(world.url)
  const reply = await client.request('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
  expect(reply.framing).toBe('close')
  expect(reply.text).toBe('one two')
  expect(await client.waitForClose()).toBe('fin')
})
