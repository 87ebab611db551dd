import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { PassThrough } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { ConnectFailedError, type ConnectionPool, type PoolOptions } from '../../src/proxy/connection-pool.ts'
import { Upload } from '../../src/proxy/upload.ts'
import { ConnectionLostError } from '../../src/proxy/upstream-connection.ts'
import { makeLeaf, makeSelfSigned, testCertificates } from '../support/certificates.ts'
import { watchCrashes } from '../support/crash-oracle.ts'
import { ask, poolOf } from '../support/pool-client.ts'
import { rawResponse, startRawUpstream, step, type RawUpstream, type RawUpstreamOptions, type Script } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'

const echo: Script = ({ target, connection }) => rawResponse({ body: `${target} on ${connection.id}` })
const LENGTH_0 = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n'

afterEach(() => { vi.useRealTimers() })

/** A pool before a raw upstream; both are gone when the test is. */
async function started(script: Script = echo, options: Partial<PoolOptions> = {}, upstreamOptions: RawUpstreamOptions = {}): Promise<{ readonly upstream: RawUpstream; readonly pool: ConnectionPool }> {
  const upstream = await startRawUpstream(script, upstreamOptions)
  onTestFinished(() => upstream.close())
  return { upstream, pool: poolOf(upstream, options) }
}

function turn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve) })
}

/** Turns of the event loop until `condition` holds; needs no timer, which may be a fake one. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

function bodyFrom(source: PassThrough): Upload {
  const nobody = { onUploadMoved() {}, onUploadBlocked() {}, onUploadTooLarge() {}, onUploadTooSlow() {} }
  return new Upload(source as unknown as IncomingMessage, { maxBytes: Infinity, minRate: 0 }, nobody)
}

/** Accepts connections and says nothing: to a TLS client, a target that swallows what it is sent. */
async function blackHole(): Promise<{ readonly server: Server; readonly origin: string; readonly seen: () => number }> {
  let seen = 0
  const server = createServer((socket) => {
    seen++
    socket.on('error', () => undefined).resume()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { server, origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, seen: () => seen }
}

describe('connections are shared', () => {
  test('one after the other: one connection', async () => {
    const { upstream, pool } = await started()
    for (const n of [1, 2, 3]) expect(await ask(pool, `/${n}`).over).toMatchObject({ status: 200, body: `/${n} on 0`, events: ['connected', 'sent', 'head', 'data', 'complete'] })
    expect(upstream.connectionCount).toBe(1)
  })

  test('all at once: never more than the limit, each gets its own answer, in turn', async () => {
    const { upstream, pool } = await started(echo, { connections: 3 })
    const targets = Array.from({ length: 50 }, (_, n) => `/${n}`)
    const answers = await Promise.all(targets.map((target) => ask(pool, target).over))
    expect(answers.map(({ body }) => body.split(' ')[0])).toEqual(targets)
    expect(upstream.connectionCount).toBe(3)
    // Requests on different connections may overtake each other by as many as there are connections.
    upstream.requests.forEach(({ target }, i) => expect(Math.abs(Number(target.slice(1)) - i)).toBeLessThan(6))
  })

  test('a request is never sent from within dispatch', async () => {
    const { pool } = await started()
    await ask(pool).over
    const asked = ask(pool)
    expect(asked.events).toEqual([])
    await asked.over
  })

  test.each([
    ['HEAD', 'HEAD', `${LENGTH_0}\r\n`], ['close', 'GET', `${LENGTH_0}Connection: close\r\n\r\n`], ['HTTP/1.0', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['bytes behind the answer', 'GET', `${LENGTH_0}\r\nx`], ['Keep-Alive: timeout=1, which is over before it is of use', 'GET', `${LENGTH_0}Keep-Alive: timeout=1\r\n\r\n`],
    ['a 304 that names content', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
  ])('not after %s', async (_what, method, answer) => {
    const { upstream, pool } = await started(answer)
    expect(await ask(pool, '/', { method }).over).toMatchObject({ events: ['connected', 'sent', 'head', 'complete'] })
    await upstream.connections[0]?.closed
    expect(await ask(pool, '/', { method }).over).toMatchObject({ error: undefined })
    expect(upstream.connectionCount).toBe(2)
  })

  test('a server that ends each connection without a word loses no request: what comes along with an answer is read before the next', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', () => socket.end(`${LENGTH_0}\r\n`))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: 2 })
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(pool, '/', { method: 'POST' }).over))
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([])
  })

  test('over a unix socket, and over IPv6', async () => {
    const { pool } = await started(echo, {}, { unix: true })
    expect(await ask(pool, '/unix').over).toMatchObject({ body: '/unix on 0' })
    const server = createServer((socket) => socket.end(`${LENGTH_0}\r\n`)).listen(0, '::1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { upstream } = await started()
    const overV6 = poolOf(upstream, { origin: `http://[::1]:${(server.address() as AddressInfo).port}` })
    expect(await ask(overV6).over).toMatchObject({ status: 200 })
  })

  test('thousands of requests leave no listener and no memory behind', async () => {
    const { pool } = await started(rawResponse({ chunks: ['ok'] }), { connections: 2 }, { keepBytes: false, keepRequests: 1 })
    const round = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 10) {
        await Promise.all(Array.from({ length: 10 }, () => {
          const source = new PassThrough()
          source.end('a body')
          return ask(pool, '/', { method: 'POST', body: bodyFrom(source) }).over
        }))
      }
    }
    await round(500)
    using oracle = watchCrashes({ growthBytes: 2 * 1024 * 1024 })
    await round(3_000)
    await oracle.assertClean()
  })
})

describe('connections that rest', () => {
  function fakeClock(): void {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  }

  test.each([
    ['4 s', '', 3_500, 1_000],
    ['one second less than the server says', 'Keep-Alive: timeout=20\r\n', 18_500, 1_000],
    ['ten minutes at most', 'Keep-Alive: timeout=99999\r\n', 599_500, 1_000],
  ])('are closed after %s', async (_what, field, before, after) => {
    fakeClock()
    const { upstream, pool } = await started(`${LENGTH_0}${field}\r\n`)
    await ask(pool).over
    await turn()
    vi.advanceTimersByTime(before)
    await ask(pool, '/still-the-same').over
    expect(upstream.connectionCount).toBe(1)
    await turn()
    vi.advanceTimersByTime(before + after)
    await upstream.connections[0]?.closed
    await ask(pool, '/another').over
    expect(upstream.connectionCount).toBe(2)
  })

  test('requests that nobody waits for any more do not make them younger', async () => {
    fakeClock()
    const { upstream, pool } = await started()
    await ask(pool).over
    for (let n = 0; n < 3; n++) {
      vi.advanceTimersByTime(1_500)
      ask(pool, '/unwanted').isWanted = false
      await turn()
    }
    await upstream.connections[0]?.closed
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/'])
  })

  test.each([
    ['ends it', (upstream: RawUpstream) => upstream.connections[0]?.end()], ['resets it', (upstream: RawUpstream) => upstream.connections[0]?.reset()],
    ['says that it took too long', (upstream: RawUpstream) => void upstream.connections[0]?.send('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')],
  ])('are left alone once the server %s', async (_how, letGo) => {
    const { upstream, pool } = await started()
    await ask(pool).over
    letGo(upstream)
    await upstream.connections[0]?.closed
    expect(await ask(pool, '/next', { method: 'POST' }).over).toMatchObject({ status: 200, body: '/next on 1' })
  })

  test('one that is lost with the request on it is called stale if it had served before, and nothing of an answer came', async () => {
    const { upstream, pool } = await started()
    await ask(pool).over
    upstream.respondOnce(step.end())
    const stale = await ask(pool).over
    expect(stale.error).toBeInstanceOf(ConnectionLostError)
    expect(stale.error).toMatchObject({ wasStale: true })
    upstream.respondOnce(step.end())
    expect((await ask(pool).over).error).toMatchObject({ wasStale: false })
    await ask(pool).over
    upstream.respondOnce(['H', step.reset()])
    expect((await ask(pool).over).error).toMatchObject({ wasStale: false })
  })
})

describe('connections that cannot be had', () => {
  test('refused: each of those who wait is told so, and nobody waits for ever', async () => {
    const { upstream, pool } = await started(echo, { connections: 2 })
    const { port } = upstream
    await upstream.close()
    const answers = await Promise.all(Array.from({ length: 9 }, () => ask(pool).over))
    for (const { error, events } of answers) {
      expect(error).toBeInstanceOf(ConnectFailedError)
      expect(error).toMatchObject({ isTimeout: false, cause: { code: 'ECONNREFUSED' } })
      expect(events).toEqual(['error'])
    }
    const again = await startRawUpstream(echo, { port })
    onTestFinished(() => again.close())
    expect(await ask(pool).over).toMatchObject({ status: 200 })
  })

  test('swallowed: at most `connections` attempts at a time, and those who left are not waited for', async () => {
    const { origin, seen } = await blackHole()
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin, connections: 2, connectMs: 60 })
    const left = Array.from({ length: 500 }, () => ask(pool))
    await until(() => seen() === 2)
    for (const asked of left) asked.isWanted = false
    const last = await ask(pool).over
    expect(last.error).toMatchObject({ code: 'ERR_UPSTREAM_CONNECT_FAILED', isTimeout: true })
    expect(left.flatMap(({ events }) => events)).toEqual([])
    expect(seen()).toBeLessThanOrEqual(4)
  })

  test('an attempt that fails when those who wait have others coming fails nobody', async () => {
    const { server: tls } = testCertificates()
    let accepted = 0
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      if (accepted++ === 0) secure.emit('connection', socket)
      else socket.resume()
    }).listen(0, '127.0.0.1')
    const answer: (() => void)[] = []
    const secure = createTlsServer(tls, (socket) => socket.on('error', () => undefined).on('data', () => answer.push(() => socket.write(`${LENGTH_0}\r\n`))))
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { upstream } = await started()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const pool = poolOf(upstream, { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, connectMs: 1_000, tls: { ca: testCertificates().ca, servername: undefined, rejectUnauthorized: true } })
    const first = ask(pool, '/1')
    await until(() => answer.length === 1)
    const second = ask(pool, '/2')
    await until(() => accepted === 2)
    vi.advanceTimersByTime(500)
    const third = ask(pool, '/3')
    await until(() => accepted === 3)
    answer[0]?.()
    await until(() => answer.length === 2)
    vi.advanceTimersByTime(600)
    answer[1]?.()
    await until(() => answer.length === 3)
    answer[2]?.()
    for (const asked of [first, second, third]) expect(await asked.over).toMatchObject({ status: 200 })
  })

  test('those who no longer wait cost the server nothing', async () => {
    const { upstream, pool } = await started((request) => request.target === '/held' ? undefined : echo(request, request.connection), { connections: 1 })
    const held = ask(pool, '/held')
    await upstream.waitForRequests(1)
    const gone = Array.from({ length: 20 }, (_, n) => ask(pool, `/gone-${n}`))
    const kept = ask(pool, '/kept')
    for (const asked of gone) asked.isWanted = false
    void upstream.connections[0]?.send(`${LENGTH_0}\r\n`)
    await Promise.all([held.over, kept.over])
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/held', '/kept'])
  })
})

describe('an exchange that is given up', () => {
  test.each([
    ['before it is sent', (): Script => echo, () => true],
    ['when its request is sent', (): Script => step.stall(), (asked: ReturnType<typeof ask>) => asked.isSent],
    ['at its head', (): Script => [`${LENGTH_0.replace('0\r', '9\r')}\r\n`, step.stall()], (asked: ReturnType<typeof ask>) => asked.status === 200],
    ['in the middle of its content', (): Script => [`${LENGTH_0.replace('0\r', '9\r')}\r\nab`, step.stall()], (asked: ReturnType<typeof ask>) => asked.body === 'ab'],
    ['while it is paused', (): Script => ['HTTP/1.1 200 OK\r\n\r\n', step.pour(50_000_000)], (asked: ReturnType<typeof ask>) => {
      asked.takesMore = () => false
      return asked.body !== ''
    }],
  ])('%s is told nothing more, and its connection is nobody\'s', async (_when, script, isThere) => {
    const { upstream, pool } = await started(echo)
    upstream.respondOnce(script())
    const asked = ask(pool)
    await waitFor(() => isThere(asked))
    const before = asked.events.length
    asked.isWanted = false
    asked.running?.abort()
    expect(await ask(pool, '/next').over).toMatchObject({ status: 200 })
    expect(asked.events.slice(before)).toEqual([])
    await pool.close()
  })

  test('from within, with the end of the answer already there: the connection is not kept', async () => {
    const { upstream, pool } = await started()
    const asked = ask(pool)
    asked.takesMore = () => {
      asked.isWanted = false
      asked.running?.abort()
      return true
    }
    await waitFor(() => asked.events.includes('data'))
    expect(await ask(pool, '/next').over).toMatchObject({ body: '/next on 1' })
    expect(asked.events).toEqual(['connected', 'sent', 'head', 'data'])
    await waitFor(() => upstream.openConnections.length === 1)
  })

  test('an answer before the end of the request ends the connection', async () => {
    const { upstream, pool } = await started()
    upstream.respond(echo, { when: 'head' })
    const source = new PassThrough()
    source.write('the beginning')
    const body = bodyFrom(source)
    expect(await ask(pool, '/', { method: 'POST', body, contentLength: 1_000 }).over).toMatchObject({ status: 200 })
    expect(body.destroyed).toBe(true)
    await upstream.connections[0]?.closed
    expect(await ask(pool, '/next').over).toMatchObject({ body: '/next on 1' })
  })

  test('so does an answer before the request has left, though we have written all of it', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.pause().write(`${LENGTH_0}\r\n`))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: 1 })
    const source = new PassThrough({ highWaterMark: 2 ** 26 })
    source.end(Buffer.alloc(2 ** 25))
    const [first, second] = [ask(pool, '/', { method: 'POST', body: bodyFrom(source), contentLength: 2 ** 25 }), ask(pool)]
    expect(await first.over).toMatchObject({ status: 200, isSent: true })
    expect(await second.over).toMatchObject({ status: 200 })
  })

  test('content that waits holds the server back; what comes next is read all the same', async () => {
    const { upstream, pool } = await started(echo, { connections: 1 })
    upstream.respondOnce([`HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n`, step.pour(30_000_000)])
    const asked = ask(pool)
    asked.takesMore = () => false
    const next = ask(pool, '/next')
    await waitFor(() => asked.body.length > 0)
    const size = asked.body.length
    await turn()
    expect(asked.body.length - size).toBeLessThan(200_000)
    while (!asked.events.includes('complete')) {
      asked.running?.resume()
      await turn()
    }
    expect(asked.body).toHaveLength(30_000_000)
    expect(await next.over).toMatchObject({ body: '/next on 0' })
  })
})

describe('what cannot be sent', () => {
  test.each([
    ['CR LF in a target', { target: '/ HTTP/1.1\r\nA: b\r\n\r\n' }], ['a space in a target', { target: '/ HTTP/1.0' }], ['no target', { target: '' }],
    ['U+010A in a target, which latin-1 makes a line feed', { target: '/\u010a' }], ['CR LF in a method', { method: 'GET /a HTTP/1.1\r\n\r\nGET' }],
    ['CR LF in a value', { headers: ['A', 'b\r\nC: d'] }], ['LF in a value', { headers: ['A', 'b\nC: d'] }], ['NUL in a value', { headers: ['A', '\0'] }],
    ['U+010A in a value', { headers: ['A', '\u010a'] }], ['CR LF in the host', { host: 'a\r\nB: c' }],
  ])('%s: an error, nothing is sent, and the connection serves the next', async (_what, request) => {
    const { upstream, pool } = await started()
    const [refused, next] = [ask(pool, '/', request), ask(pool, '/next')]
    expect((await refused.over).error).toBeInstanceOf(TypeError)
    expect(await next.over).toMatchObject({ status: 200 })
    await pool.close()
    expect(upstream.requests.map(({ rawHead }) => rawHead)).toEqual(['GET /next HTTP/1.1\r\nHost: a\r\nConnection: keep-alive'].map((text) => expect.stringContaining(text) as string))
  })

  test('latin-1 and empty values go as they came', async () => {
    const { upstream, pool } = await started()
    await ask(pool, '/\xe9?\xff', { headers: ['A', '\xe9\t\xff', 'B', ''] }).over
    expect(upstream.lastRequest).toMatchObject({ target: '/\xe9?\xff' })
    expect(upstream.lastRequest.headers).toContainEqual(['A', '\xe9\t\xff'])
  })
})

describe('close', () => {
  test('with nothing, and twice', async () => {
    const { pool } = await started()
    await Promise.all([pool.close(), pool.close()])
    await pool.close()
  })

  test('with connections that rest', async () => {
    const { upstream, pool } = await started()
    await Promise.all([ask(pool).over, ask(pool).over])
    await pool.close()
    await waitFor(() => upstream.openConnections.length === 0)
  })

  test('with requests on their way and others that wait: all get their answers first', async () => {
    const { upstream, pool } = await started(() => undefined, { connections: 1 })
    const asked = ['/1', '/2', '/3'].map((target) => ask(pool, target))
    await upstream.waitForRequests(1)
    let isClosed = false
    const closed = pool.close().then(() => { isClosed = true })
    for (const n of [1, 2, 3]) {
      await upstream.waitForRequests(n)
      expect(isClosed).toBe(false)
      void upstream.lastRequest.connection.send(`${LENGTH_0}\r\n`)
    }
    await closed
    for (const { status } of asked) expect(status).toBe(200)
    await waitFor(() => upstream.openConnections.length === 0)
  })

  test('in the turn of a request', async () => {
    const { pool } = await started()
    const asked = ask(pool)
    await pool.close()
    expect(asked.status).toBe(200)
  })

  test('in the turn of a request that is then given up', async () => {
    const { pool } = await started()
    ask(pool).isWanted = false
    await pool.close()
  })

  test('while a connection is opened that never will be', async () => {
    const { origin, seen } = await blackHole()
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin, connectMs: 50 })
    const asked = ask(pool)
    await until(() => seen() === 1)
    await pool.close()
    expect(asked.error).toMatchObject({ isTimeout: true })
  })
})

describe('TLS', () => {
  const { ca, server } = testCertificates()
  const trusting = (servername?: string): PoolOptions['tls'] => ({ ca, servername, rejectUnauthorized: true })

  test('sessions are resumed', async () => {
    const reused: boolean[] = []
    const tls = createTlsServer(server, (socket) => {
      reused.push(socket.isSessionReused())
      socket.on('error', () => undefined).on('data', () => socket.end(`${LENGTH_0}Connection: close\r\n\r\n`))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void tls.close())
    await once(tls, 'listening')
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `https://127.0.0.1:${(tls.address() as AddressInfo).port}`, tls: trusting() })
    for (let n = 0; n < 3; n++) expect(await ask(pool).over).toMatchObject({ status: 200 })
    expect(reused).toEqual([false, true, true])
  })

  test('an answer that is there as soon as the request is written keeps its connection', async () => {
    const script = `let connections = 0
      const [key, cert] = process.argv.slice(1)
      require('https').createServer({ key, cert }, (request, response) => response.end(String(connections))).on('secureConnection', () => connections++)
        .listen(0, '127.0.0.1', function () { console.log(this.address().port) })`
    const child = spawn(process.execPath, ['-e', script, '--', server.key, server.cert], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill())
    const [port] = await once(child.stdout, 'data') as [Buffer]
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `https://127.0.0.1:${String(port).trim()}`, tls: trusting() })
    for (let n = 0; n < 4; n++) {
      const asked = ask(pool)
      await until(() => asked.isSent)
      for (const end = performance.now() + 20; performance.now() < end;);   // a busy process, which finds the answer when it comes to look
      expect(await asked.over).toMatchObject({ body: '1' })
      await turn()
    }
  })

  test('a session on which a handshake has failed is not tried again', async () => {
    const reused: boolean[] = []
    const secure = createTlsServer(server, (socket) => {
      reused.push(socket.isSessionReused())
      socket.on('error', () => undefined).on('data', () => socket.end(`${LENGTH_0}Connection: close\r\n\r\n`))
    })
    let accepted = 0
    const tcp = createServer((socket) => {
      if (accepted++ === 1) socket.destroy()
      else secure.emit('connection', socket)
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void tcp.close())
    await once(tcp, 'listening')
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `https://127.0.0.1:${(tcp.address() as AddressInfo).port}`, tls: trusting() })
    await ask(pool).over
    expect((await ask(pool).over).error).toBeInstanceOf(ConnectFailedError)
    expect(await ask(pool).over).toMatchObject({ status: 200 })
    expect(reused).toEqual([false, false])
  })

  test.each([
    ['a name is sent', 'localhost', undefined, 'localhost'], ['an address is none', '127.0.0.1', undefined, false], ['the name that is configured', '127.0.0.1', 'localhost', 'localhost'],
  ])('%s', async (_what, host, servername, expected) => {
    const seen: unknown[] = []
    const tls = createTlsServer(server, (socket) => {
      seen.push(socket.servername)
      socket.on('error', () => undefined).on('data', () => socket.end(`${LENGTH_0}\r\n`))
    }).listen(0, host)
    onTestFinished(() => void tls.close())
    await once(tls, 'listening')
    const { upstream } = await started()
    const pool = poolOf(upstream, { origin: `https://${host}:${(tls.address() as AddressInfo).port}`, tls: trusting(servername) })
    expect(await ask(pool).over).toMatchObject({ error: undefined, status: 200 })
    expect(seen).toEqual([expected])
  })

  test.each([
    ['nobody vouches for', () => makeSelfSigned('localhost'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['is for another name', () => makeLeaf({ names: ['elsewhere.example'] }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('a certificate that %s: no connection, and nothing of the request is sent', async (_what, makeCertificate, code) => {
    const { upstream, pool } = await started(echo, { tls: trusting() }, { tls: makeCertificate() })
    expect((await ask(pool).over).error).toMatchObject({ code: 'ERR_UPSTREAM_CONNECT_FAILED', isTimeout: false, cause: { code } })
    expect(upstream.requestCount).toBe(0)
    const careless = poolOf(upstream, { tls: { ca, servername: undefined, rejectUnauthorized: false } })
    expect(await ask(careless).over).toMatchObject({ status: 200 })
  })
})
