import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { announce } from '../child.ts'

/**
 * The application that streams:
 *
 *   GET /down?bytes=N   N bytes, chunked
 *   POST /up            reads the body; answers how many bytes came
 */
const PIECE = Buffer.alloc(65_536, 'sessiongate ')

const server = createServer((request, response) => {
  const serve = request.method === 'POST' ? countUpload(request, response) : sendDownload(request, response)
  serve.catch(() => response.destroy())
})

async function sendDownload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const bytes = Number(new URL(request.url ?? '', 'http://app').searchParams.get('bytes'))
  await pipeline(Readable.from(pieces(bytes), { objectMode: false, highWaterMark: PIECE.length }), response)
}

function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length) yield left < PIECE.length ? PIECE.subarray(0, left) : PIECE
}

async function countUpload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let bytes = 0
  for await (const piece of request) bytes += (piece as Buffer).length
  response.end(String(bytes))
}

server.listen(0, '127.0.0.1', () => announce((server.address() as AddressInfo).port))
