import assert from 'node:assert/strict'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { realpathSync } from 'node:fs'
import { planGateway } from './gateway-config.ts'
import { rssBytesOf } from './proc-stat.ts'
import { MissingError, startWorld, type Server } from './world.ts'

/** What a large body did to the gateway's resident memory, in bytes: the most while it went through, above the level before it. */
export interface StreamResult {
  readonly direction: 'down' | 'up'
  readonly bytes: number
  readonly seconds: number
  readonly rssBefore: number
  readonly rssGrowth: number
}

export const STREAM_BAR_BYTES = 16 * 2 ** 20
const SAMPLE_MS = 20

/**
 * Sends `bytes` through the gateway each way and watches its memory. A short body of each kind goes before, so that what is
 * measured is the length of the body, not the first use of the code.
 */
export async function measureStreaming(bytes: number): Promise<StreamResult[]> {
  const world = await startWorld({ redis: false })
  try {
    const app = await world.startServer('targets/stream-upstream', {}, 'beside')
    const { config } = planGateway(world, 'gate-stream', 'none', 'memory')
    const gateway = await world.startGateway('gate-stream', {
      ...config, upstreams: { app: { targets: [app.url] } }, limits: { maxBody: '4GB' },
    })
    for (const stream of [download, upload]) await stream(gateway.url, WARM_BYTES)
    return [await watched('down', gateway, bytes, download), await watched('up', gateway, bytes, upload)]
  } finally {
    await world.stop()
  }
}

const WARM_BYTES = 64 * 2 ** 20
type Stream = (url: string, bytes: number) => Promise<number>

async function watched(direction: StreamResult['direction'], { pid, url }: Server, bytes: number, stream: Stream): Promise<StreamResult> {
  const rssBefore = rssBytesOf(pid)
  let most = rssBefore
  const sampler = setInterval(() => { most = Math.max(most, rssBytesOf(pid)) }, SAMPLE_MS)
  const startedAt = performance.now()
  try {
    assert.equal(await stream(url, bytes), bytes, `every byte of the ${direction} stream arrived`)
  } finally {
    clearInterval(sampler)
  }
  return { direction, bytes, seconds: (performance.now() - startedAt) / 1_000, rssBefore, rssGrowth: most - rssBefore }
}

const agent = new Agent({ keepAlive: false })

async function download(url: string, bytes: number): Promise<number> {
  const sent = httpRequest(`${url}/down?bytes=${bytes}`, { agent }).end()
  const [response] = await once(sent, 'response') as [IncomingMessage]
  let received = 0
  for await (const piece of response) received += (piece as Buffer).length
  return received
}

async function upload(url: string, bytes: number): Promise<number> {
  const sent = httpRequest(`${url}/up`, { agent, method: 'POST', headers: { 'content-length': bytes } })
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  Readable.from(pieces(bytes), { objectMode: false, highWaterMark: PIECE.length }).pipe(sent)
  const [response] = await answered
  return Number((await response.toArray()).join(''))
}

const PIECE = Buffer.alloc(65_536, 'sessiongate ')

function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length) yield left < PIECE.length ? PIECE.subarray(0, left) : PIECE
}

async function main(): Promise<number> {
  const results = await measureStreaming(2 ** 30)
  for (const { direction, seconds, rssBefore, rssGrowth } of results) {
    const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
    const verdict = rssGrowth < STREAM_BAR_BYTES ? 'ok' : 'MISSED'
    console.log(`${verdict}  1 GiB ${direction} in ${seconds.toFixed(1)} s: memory ${mebibytes(rssBefore)} before, at most ${mebibytes(rssGrowth)} more (bar: ${mebibytes(STREAM_BAR_BYTES)})`)
  }
  return results.every(({ rssGrowth }) => rssGrowth < STREAM_BAR_BYTES) ? 0 : 1
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(error instanceof MissingError ? `bench: ${error.message}` : error)
    return 1
  })
}
