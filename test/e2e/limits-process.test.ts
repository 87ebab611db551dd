import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { watchChild } from '../support/crash-oracle.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { openDescriptors, residentBytes } from '../support/process-health.ts'
import { connectRaw, NoResponseError, type RawClient } from '../support/raw-client.ts'
import { waitFor, within } from '../support/wait-for.ts'

const MEGABYTE = 1_048_576
const PIECE = Buffer.alloc(65_536, 'x')
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`

function* pieces(total: number): Generator<Buffer> {
  for (let left = total; left > 0; left -= PIECE.length) yield PIECE.subarray(0, left)
}

/** `/bytes/N` gives N bytes as fast as they are taken, `/sink` reads slowly, `/wait` answers when told, `/events` never ends. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, kind, size] = (request.url ?? '').split('/')
  if (kind === 'bytes') {
    response.writeHead(200, { 'Content-Length': size })
    await pipeline(pieces(Number(size)), response)
  } else if (kind === 'sink') {
    let bytes = 0
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes % (4 * MEGABYTE) < chunk.length) await new Promise((resolve) => setTimeout(resolve, 20))    // slower than the client
    }
    response.end(String(bytes))
  } else if (kind === 'events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n')
  } else if (kind === 'wait') setTimeout(() => response.end('waited'), 500)
  else response.end('ok')
}

let upstream: Server
let url: string

beforeAll(async () => {
  upstream = createServer((request, response) => void serve(request, response).catch(() => undefined))
  new WebSocketServer({ server: upstream }).on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
})

afterAll(() => {
  upstream.closeAllConnections()
  upstream.close()
})

/** The largest growth of a process's resident memory over `baseline` while `action` runs. */
async function peakDuring(pid: number, action: () => Promise<void>): Promise<number> {
  let largest = 0
  const sampling = setInterval(() => { largest = Math.max(largest, residentBytes(pid)) }, 10)
  await action()
  clearInterval(sampling)
  return largest
}

async function readSlowly(client: RawClient, total: number): Promise<void> {
  void client.send(get(`/bytes/${total}`))
  for (let read = 0, gulp = 0; read < total;) {
    const bytes = (await client.read()).length
    if (bytes === 0) throw new Error(`the answer ended after ${read} bytes`)
    read += bytes
    gulp += bytes
    if (gulp < 4 * MEGABYTE) continue
    gulp = 0
    client.pause()
    await new Promise((resolve) => setTimeout(resolve, 15))          // slower than the upstream
    client.resume()
  }
}

describe('UP13: bodies pass through, they do not pile up', { retry: 2 }, () => {
  test('200 MB down to a slow reader and up to a slow upstream move resident memory by less than 16 MB', { timeout: 60_000 }, async () => {
    await using gateway = await startGatewayProcess({ upstream: url, config: { limits: { maxBody: '1GB' }, log: { format: 'json', requests: false } } })
    const { pid } = gateway.child
    const download = async (total: number): Promise<void> => {
      await using client = await connectRaw(gateway.url, { keep: false })
      await readSlowly(client, total)
    }
    const upload = async (total: number): Promise<void> => {
      await using client = await connectRaw(gateway.url, { keep: false })
      await client.send(`PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`)
      for (const piece of pieces(total)) await client.send(piece)
      expect(await client.readResponse()).toMatchObject({ status: 200 })
    }
    // The garbage of one round of the collector is no growth: what counts is what comes on top of the first hundred megabytes.
    const warm = await peakDuring(pid, async () => {
      await download(100 * MEGABYTE)
      await upload(100 * MEGABYTE)
    })
    expect(await peakDuring(pid, () => download(200 * MEGABYTE)) - warm).toBeLessThan(16 * MEGABYTE)
    expect(await peakDuring(pid, () => upload(200 * MEGABYTE)) - warm).toBeLessThan(16 * MEGABYTE)
  })
})

describe('connections', () => {
  test('two thousand idle ones cost less than 25 KB each, and others are served', { timeout: 60_000 }, async () => {
    await using gateway = await startGatewayProcess({ upstream: url, config: { log: { format: 'json', requests: false } } })
    const client = httpClient(gateway.url)
    for (let warmUp = 0; warmUp < 200; warmUp++) await client.get('/')
    const baseline = residentBytes(gateway.child.pid)
    const idle: RawClient[] = []
    for (let at = 0; at < 2_000; at += 100) {
      idle.push(...await Promise.all(Array.from({ length: 100 }, () => connectRaw(gateway.url))))
      await Promise.all(idle.slice(-100).map((one) => one.request(get('/'))))
    }
    expect((residentBytes(gateway.child.pid) - baseline) / 2_000).toBeLessThan(25_000)
    expect((await client.get('/')).status).toBe(200)
    expect((await (await fetch(`${gateway.adminUrl}/metrics`)).text())).toMatch(/client_connections 200\d\n/)
    for (const one of idle) one.close()
    client.close()
  })

  test('those beyond limits.maxConnections are closed; when one goes, another may come', async () => {
    await using gateway = await startGatewayProcess({ upstream: url, config: { limits: { maxConnections: 5 } } })
    const five = await Promise.all(Array.from({ length: 5 }, () => connectRaw(gateway.url)))
    for (const client of five) expect((await client.request(get('/'))).status).toBe(200)
    await using sixth = await connectRaw(gateway.url)
    await expect(sixth.request(get('/'))).rejects.toBeInstanceOf(NoResponseError)
    five[0]?.close()
    await waitFor(async () => {
      await using next = await connectRaw(gateway.url)
      return await next.request(get('/')).then(({ status }) => status === 200, () => false)
    }, 'a free place')
    for (const client of five) client.close()
  })

  test('RX3: out of descriptors: it neither dies nor spins, and serves again', { timeout: 60_000 }, async () => {
    await using gateway = await startGatewayProcess({ upstream: url, config: { log: { format: 'json', requests: false } } })
    const { child } = gateway
    const client = httpClient(gateway.url)
    expect((await client.get('/')).status).toBe(200)
    using oracle = watchChild(child, { extraDescriptors: 6, settleMs: 10_000 })
    const spare = 64
    execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${openDescriptors(child.pid).size + spare}`])
    const crowd = await Promise.all(Array.from({ length: 400 }, () => connectRaw(gateway.url)))
    const answers = await Promise.all(crowd.map((one) => one.request(get('/'), { timeoutMs: 10_000 }).then(({ status }) => status, () => 'none' as const)))
    expect(answers.filter((answer) => answer === 200 || answer === 502 || answer === 'none')).toHaveLength(400)
    expect(answers).toContain('none')
    expect(child.exit).toBeUndefined()
    for (const one of crowd) one.close()
    await waitFor(async () => {
      await using next = await connectRaw(gateway.url)
      return await next.request(get('/')).then(({ status }) => status === 200, () => false)
    }, 'service again', 10_000)
    client.close()
    await oracle.assertClean()
  })
})

test('SIGTERM with an open WebSocket, a long poll and an event stream: closed 1001, answered, cut at the deadline; exit 0', async () => {
  await using gateway = await startGatewayProcess({ upstream: url, config: { shutdown: { drain: '1500ms' } } })
  const socket = new WebSocket(gateway.url.replace('http', 'ws'), { origin: gateway.url })
  await once(socket, 'open')
  await using poll = await connectRaw(gateway.url)
  await using events = await connectRaw(gateway.url)
  void poll.send(get('/wait'))
  void events.send(get('/events'))
  await waitFor(() => events.received.includes('data: 1'), 'the first event')

  const startedAt = performance.now()
  const closed = within(once(socket, 'close') as Promise<[number, Buffer]>, 5_000, 'close of the WebSocket')
  gateway.child.signal('SIGTERM')
  const [code, reason] = await closed
  expect([code, reason.toString()]).toEqual([1001, 'shutting down'])
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  const answer = await poll.readResponse()
  expect(answer).toMatchObject({ status: 200, text: 'waited' })
  expect(answer.header('connection')).toBe('close')
  expect(await gateway.child.exited).toEqual({ code: 0, signal: null })
  expect((await events.readResponse()).truncated).toBe(true)
  expect(performance.now() - startedAt).toBeLessThan(3_500)
})
