/**
 * Fair service in a hostile crowd, and nothing left behind afterwards. Takes minutes, so it is not part of the suite:
 *
 *     node --import tsx test/soak/crowd.ts [--requests 100000] [--seconds 20]
 *
 * 1. normal users alone (the baseline), then beside 300 slow heads, 100 slow uploads and 100 slow readers: their 99th percentile
 *    stays under five times the baseline, memory under 256 MB above it;
 * 2. one session changed by 500 requests in parallel: every change is counted, other sessions stay under five times their baseline;
 * 3. `--requests` requests of which 5 % are aborted: descriptors and memory are where they were.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { openDescriptors, residentBytes } from '../support/process-health.ts'
import { connectRaw } from '../support/raw-client.ts'

const MEGABYTE = 1_048_576
const LARGE = 20 * MEGABYTE
const { values } = parseArgs({ options: { requests: { type: 'string', default: '100000' }, seconds: { type: 'string', default: '20' } } })

interface Finding {
  readonly what: string
  readonly value: string
  readonly bar: string
  readonly holds: boolean
}
const findings: Finding[] = []

function judge(what: string, value: number, bar: number, unit: string): void {
  findings.push({ what, value: `${value.toFixed(1)} ${unit}`, bar: `< ${bar.toFixed(1)} ${unit}`, holds: value < bar })
}

/** Everyone's counter lives in the session; `/large` is a long answer. */
function app(request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  if (request.url === '/large') {
    response.writeHead(200, { 'Content-Length': LARGE })
    const piece = Buffer.alloc(65_536)
    let left = LARGE
    const pour = (): void => {
      while (left > 0 && !response.destroyed) {
        left -= piece.length
        if (!response.write(piece)) return void response.once('drain', pour)
      }
      response.end()
    }
    return pour()
  }
  request.on('end', () => {
    const claims = JSON.parse(Buffer.from(String(request.headers['x-session-assertion']).split('.')[1] ?? '', 'base64url').toString()) as { ver?: string; data: { count?: number } }
    const count = claims.data.count ?? 0
    if (request.url === '/login') response.setHeader('X-Session-Patch', '{"count":0}')
    if (request.url?.startsWith('/field/')) response.setHeader('X-Session-Patch', `{"f${request.url.slice(7)}":1}`)
    response.end(JSON.stringify(claims.data ?? count))
  })
}

function percentile(samples: readonly number[], share: number): number {
  return [...samples].sort((a, b) => a - b)[Math.floor((samples.length - 1) * share)] ?? 0
}

/** Ten users who each read their session once in a while; their latencies, ms. */
async function normalUsers(gateway: GatewayProcess, seconds: number): Promise<number[]> {
  const samples: number[] = []
  const until = performance.now() + seconds * 1_000
  await Promise.all(Array.from({ length: 10 }, async () => {
    const client = httpClient(gateway.url, { timeoutMs: 60_000 })
    await client.get('/login')
    while (performance.now() < until) {
      const startedAt = performance.now()
      const { status } = await client.get('/')
      samples.push(performance.now() - startedAt)
      if (status !== 200) throw new Error(`a normal user got ${status}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    client.close()
  }))
  return samples
}

/** 300 slow heads, 100 slow uploads, 100 slow readers. Whoever is thrown out comes again. Returns how to end it. */
async function hostileCrowd(gateway: GatewayProcess): Promise<() => void> {
  const sockets = new Set<Socket>()
  let isOver = false

  function enter(opening: string, act: (socket: Socket) => void, everyMs: number): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ port: gateway.port, host: '127.0.0.1' }, resolve)
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('readable', () => undefined)         // never flows: a read takes what it asks for
      socket.write(opening)
      const timer = setInterval(() => act(socket), everyMs)
      socket.on('close', () => {
        clearInterval(timer)
        sockets.delete(socket)
        if (!isOver) void enter(opening, act, everyMs)
      })
    })
  }

  const dripOne = (socket: Socket): void => void socket.write('x')
  const readLittle = (socket: Socket): void => void socket.read(4_096)
  for (let n = 0; n < 300; n++) await enter('GET / HTTP/1.1\r\nHost: a\r\nX: ', dripOne, 500)
  for (let n = 0; n < 100; n++) await enter('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n', dripOne, 200)
  for (let n = 0; n < 100; n++) await enter('GET /large HTTP/1.1\r\nHost: a\r\n\r\n', readLittle, 1_000)
  await settled(gateway)
  return () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
}

/** Until the first rush, which fills the kernel's buffers of a hundred long answers, is over. */
async function settled(gateway: GatewayProcess): Promise<void> {
  for (let quiet = 0; quiet < 5;) {
    const startedAt = performance.now()
    await fetch(`${gateway.adminUrl}/livez`)
    quiet = performance.now() - startedAt < 20 ? quiet + 1 : 0
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function crowdScene(gateway: GatewayProcess, seconds: number): Promise<void> {
  await normalUsers(gateway, 2)
  const alone = percentile(await normalUsers(gateway, seconds), 0.99)
  const baselineBytes = residentBytes(gateway.child.pid)
  const leave = await hostileCrowd(gateway)
  let largest = 0
  const sampling = setInterval(() => { largest = Math.max(largest, residentBytes(gateway.child.pid)) }, 100)
  const crowded = percentile(await normalUsers(gateway, seconds), 0.99)
  clearInterval(sampling)
  leave()
  judge('p99 of normal users in the crowd', crowded, Math.max(5 * alone, 10), `ms (${alone.toFixed(1)} alone)`)
  judge('memory the crowd took', (largest - baselineBytes) / MEGABYTE, 256, 'MB')
}

async function hammeredSession(gateway: GatewayProcess, seconds: number): Promise<void> {
  const alone = percentile(await normalUsers(gateway, 3), 0.99)
  const client = httpClient(gateway.url, { timeoutMs: 60_000 })
  await client.get('/login')
  const others = normalUsers(gateway, Math.min(seconds, 10))
  const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => client.get(`/field/${n}`)))
  const stored = answers.filter(({ status }) => status === 200).length
  const fields = Object.keys((await client.get('/')).json<object>()).filter((name) => name.startsWith('f')).length
  findings.push({ what: 'changes acknowledged of 500 to one session, and found', value: `${stored}, ${fields}`, bar: 'all acknowledged are found', holds: fields >= stored && stored > 0 })
  judge('p99 of other sessions meanwhile', percentile(await others, 0.99), Math.max(5 * alone, 50), `ms (${alone.toFixed(1)} alone)`)
  client.close()
}

async function requestsWithAborts(gateway: GatewayProcess, count: number): Promise<void> {
  const { pid } = gateway.child
  const run = async (total: number): Promise<void> => {
    let left = total
    await Promise.all(Array.from({ length: 20 }, async () => {
      const client = httpClient(gateway.url)
      await client.get('/login')
      while (left-- > 0) {
        if (left % 20 !== 0) {
          await client.get('/')
          continue
        }
        const leaving = await connectRaw(gateway.url, { keep: false })
        await leaving.send(left % 40 === 0 ? 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n' : 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\nx')
        if (left % 80 === 0) await leaving.read()
        if (left % 60 === 0) leaving.reset()
        else leaving.close()
      }
      client.close()
    }))
  }
  await run(Math.min(count, 20_000))
  await new Promise((resolve) => setTimeout(resolve, 6_000))
  const before = { bytes: residentBytes(pid), descriptors: openDescriptors(pid).size }
  await run(count)
  await new Promise((resolve) => setTimeout(resolve, 6_000))
  judge(`memory after ${count} requests, 5 % aborted`, (residentBytes(pid) - before.bytes) / MEGABYTE, 32, 'MB more')
  judge('descriptors afterwards', openDescriptors(pid).size - before.descriptors, 5, 'more')
}

const upstream = createServer(app)
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
const gateway = await startGatewayProcess({
  upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
  config: {
    store: { kind: 'memory' }, log: { format: 'json', requests: false },
    session: { maxMembers: 2_000 }, limits: { headersTimeout: '10s', bodyIdleTimeout: '10s', minBodyRate: 100 }, shutdown: { drain: '1s' },
  },
})
try {
  await crowdScene(gateway, Number(values.seconds))
  await hammeredSession(gateway, Number(values.seconds))
  await requestsWithAborts(gateway, Number(values.requests))
  console.table(findings)
  if (gateway.child.stderrLines.length > 0) console.log(gateway.child.stderr)
} finally {
  await gateway[Symbol.asyncDispose]()
  upstream.closeAllConnections()
  upstream.close()
}
process.exitCode = findings.every(({ holds }) => holds) ? 0 : 1
