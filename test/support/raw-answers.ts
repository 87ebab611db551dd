import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HeaderList } from './http-framing.ts'
import type { SeenRequest, UpstreamConnection } from './upstream-connection.ts'
import { waitFor } from './wait-for.ts'

export type Bytes = string | Uint8Array

/** What a step leaves behind: the connection goes on to its next request, or the script has finished with it. */
export type StepOutcome = 'continue' | 'stop'

/** One action of an answer. Plain bytes (text is latin1) are sent as they are. */
export type Step = Bytes | { play(connection: UpstreamConnection, request: SeenRequest | undefined): Promise<StepOutcome> }
export type Answer = Step | readonly Step[]

/** An answer, or a function that chooses one per request. Nothing returned means: answered by hand through the connection. */
export type Script = Answer | ((request: SeenRequest, connection: UpstreamConnection) => Answer | void | Promise<Answer | void>)

export interface RawResponse {
  readonly status?: number | string
  readonly reason?: string
  readonly version?: string
  readonly headers?: HeaderList
  readonly body?: Bytes
  /** Sent as one chunk per element, with the last chunk and these trailers. */
  readonly chunks?: readonly Bytes[]
  readonly trailers?: HeaderList
  /** Declares the body and does not send it, as the answer to HEAD. */
  readonly headOnly?: boolean
}

/** The bytes of a response. Content-Length is added unless the headers or `chunks` already frame it, or no body is given. */
export function rawResponse(response: RawResponse = {}): Buffer {
  const { status = 200, reason = 'OK', version = 'HTTP/1.1', headers = [], headOnly = false } = response
  const body = response.body === undefined ? undefined : toBytes(response.body)
  const lines = headers.map(([name, value]) => `${name}: ${value}`)
  if (response.chunks !== undefined) lines.push('Transfer-Encoding: chunked')
  else if (body !== undefined && !isFramed(headers)) lines.push(`Content-Length: ${body.length}`)

  const head = Buffer.from([`${version} ${status} ${reason}`, ...lines, '', ''].join('\r\n'), 'latin1')
  if (headOnly) return head
  return Buffer.concat([head, response.chunks === undefined ? body ?? Buffer.alloc(0) : chunkedBody(response.chunks, response.trailers)])
}

/** Chunked coding of `chunks` (RFC 9112 section 7.1), the last chunk and trailers included. */
export function chunkedBody(chunks: readonly Bytes[], trailers: HeaderList = []): Buffer {
  const coded = chunks.map((chunk) => {
    const bytes = toBytes(chunk)
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
  })
  const tail = ['0', ...trailers.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n')
  return Buffer.concat([...coded, Buffer.from(tail, 'latin1')])
}

/** The default script: 200 and a small text body, none for HEAD. */
export const answerOk: Script = (request) =>
  rawResponse({ headers: [['Content-Type', 'text/plain']], body: 'ok', headOnly: request.method === 'HEAD' })

/** Answers with what arrived: `{method, target, headers, body (latin1), connection, index}`, plus `extra` response fields. */
export function echoJson(extra: HeaderList = []): Script {
  return (request) => rawResponse({
    headers: [['Content-Type', 'application/json'], ...extra],
    body: JSON.stringify({
      method: request.method, target: request.target, headers: request.headers, body: request.body.toString('latin1'),
      connection: request.connection.id, index: request.index,
    }),
    headOnly: request.method === 'HEAD',
  })
}

/** Accepts any upgrade with a correct Sec-WebSocket-Accept (RFC 6455 section 4.2.2), then sends back every byte it gets. */
export function acceptUpgrade(extra: HeaderList = []): Script {
  return (request) => {
    const digest = createHash('sha1').update(`${request.header('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    const headers: HeaderList = [
      ['Upgrade', request.header('upgrade') ?? 'websocket'], ['Connection', 'Upgrade'],
      ['Sec-WebSocket-Accept', digest.digest('base64')], ...extra,
    ]
    return [rawResponse({ status: 101, reason: 'Switching Protocols', headers }), step.echoBytes()]
  }
}

/** The actions an answer can be made of. */
export const step = {
  send: (bytes: Bytes): Step => bytes,

  /** Goes on once the promise settles or the condition holds (30 s at most). */
  wait: (until: Promise<unknown> | (() => boolean)): Step =>
    perform(async (connection) => {
      if (typeof until !== 'function') await Promise.race([until, connection.closed])
      else await waitFor(() => !connection.isOpen || until(), 'condition of the upstream script', 30_000)
    }),

  /** For pacing only, where the time itself is what the test is about. */
  delay: (ms: number): Step => perform(async (connection) => { await Promise.race([sleep(ms), connection.closed]) }),

  /** Goes on when the request's body is complete or cut; for scripts that answer at the head. */
  bodyRead: (): Step => perform(async (_connection, request) => { await request?.complete }),

  /** `bytes` in pieces of `size` (default 1), one every `everyMs`. */
  drip: (bytes: Bytes, everyMs: number, size = 1): Step => perform(async (connection) => {
    const all = toBytes(bytes)
    for (let at = 0; at < all.length && connection.isOpen; at += size) {
      await connection.send(all.subarray(at, at + size))
      await Promise.race([sleep(everyMs), connection.closed])
    }
  }),

  /** `total` bytes of filler, sent no faster than the peer reads. */
  pour: (total: number, pieceBytes = 65_536): Step => perform(async (connection) => {
    const piece = Buffer.alloc(pieceBytes, 'x')
    for (let left = total; left > 0 && connection.isOpen; left -= pieceBytes) await connection.send(piece.subarray(0, left))
  }),

  /** RST: what was sent before has been handed to the kernel, nothing after it will be. */
  reset: (): Step => perform(async (connection) => { connection.reset() }, 'stop'),

  /** FIN: no more bytes from this side; the peer may still send. */
  end: (): Step => perform(async (connection) => { connection.end() }, 'stop'),

  /** Never answers. Lets go when the peer ends, unless `stubborn`. */
  stall: ({ stubborn = false } = {}): Step => perform(async (connection) => {
    await (stubborn ? connection.closed : connection.peerEnded)
    connection.end()
  }, 'stop'),

  /** Sends back every byte from here on until the peer ends. */
  echoBytes: (): Step => perform(async (connection) => {
    for (;;) {
      const bytes = await connection.reader.readSome()
      if (bytes.length === 0) break
      await connection.send(bytes)
    }
    connection.end()
  }, 'stop'),
}

/** Bytes of a text are its latin1 code units, so that any octet can be written in a test. */
export function toBytes(bytes: Bytes): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
}

/** Makes a step of an action on the connection. */
export function perform(
  action: (connection: UpstreamConnection, request: SeenRequest | undefined) => Promise<void>, outcome: StepOutcome = 'continue',
): Step {
  return {
    async play(connection, request) {
      await action(connection, request)
      return outcome
    },
  }
}

function isFramed(headers: HeaderList): boolean {
  return headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
}
