import { Socket } from 'node:net'
import type { RawHeaders } from '../http/field-names.ts'
import { ResponseReader, type ResponseSink } from './response-reader.ts'
import type { Upload } from './upload.ts'

/** The upstream ended a connection under an exchange. */
export class ConnectionLostError extends Error {
  readonly code = 'ERR_UPSTREAM_CONNECTION_LOST'

  /** @param wasStale it had served before and nothing of an answer came: the server had given it up meanwhile (RFC 9112 section 9.3.1). */
  constructor(how: 'closed' | 'reset', readonly wasStale: boolean, cause?: unknown) {
    super(`the connection was ${how}`, { cause })
  }
}

/** A request as it is written. */
export interface OutgoingRequest {
  readonly method: string
  /** Origin-form, byte-exact as it came (RFC 9112 section 3.2.1). */
  readonly target: string
  /** Empty: without (HTTP/1.0 clients may send none). */
  readonly host: string
  /** All but Host and the framing. Names are tokens: node:http has read them, or they are our own; values are checked. */
  readonly headers: readonly string[]
  /** A field line of our own making, with its end, which needs no check: the assertion is the longest of all, and base64url. Or empty. */
  readonly ownLine: string
  /** Undefined when the request has no body. */
  readonly body: Upload | undefined
  /** Of the body; undefined: it is sent in chunks. */
  readonly contentLength: number | undefined
}

/** Who waits for the answer. */
export interface ResponseHandler {
  /** False: nobody waits for the answer any more. */
  readonly isWanted: boolean
  /** A connection is there; nothing was sent. */
  onConnected(exchange: RunningExchange): void
  onRequestSent(): void
  onInterim(status: number, headers: RawHeaders): void
  onHead(status: number, reason: string, headers: RawHeaders): void
  /** False: no more for now; `RunningExchange.resume` goes on. What is on its way already still comes. */
  onData(piece: Buffer): boolean
  onComplete(): void
  /** The last call, after which nothing follows. */
  onError(error: Error): void
}

/** What a handler may do with the connection while its exchange lasts. Not afterwards: by then it may be another one's. */
export interface RunningExchange {
  resume(): void
  /** Ends the connection. Nothing is called after it. */
  abort(): void
}

/** Where a connection goes when its exchange is over. */
export interface ConnectionOwner {
  onFree(connection: UpstreamConnection): void
  onClosed(connection: UpstreamConnection): void
}

const CRLF = '\r\n'
const LAST_CHUNK = '0\r\n\r\n'
const NOTHING = Buffer.alloc(0)
const LOST: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])
/** Methods whose content has a meaning: a server may wait for it if no length is named (RFC 9110 section 8.6). */
const EXPECTS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])
const REQUEST_LINE = /^[A-Z-]+ [\x21-\x7e\x80-\xff]+$/
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/

/** One HTTP/1.1 connection to an upstream, one exchange at a time. */
export class UpstreamConnection implements RunningExchange, ResponseSink {
  /** When its last exchange was over (at first: when it was opened), ms of `performance.now()`. */
  freeSince = performance.now()
  private readonly reader: ResponseReader
  private readonly isPlainTcp: boolean
  private handler: ResponseHandler | undefined
  private body: Upload | undefined
  private isChunked = false
  private mayStay = true
  private requests = 0
  private hasAnswerBegun = false

  constructor(private readonly socket: Socket, private readonly owner: ConnectionOwner, maxHeadBytes: number) {
    this.reader = new ResponseReader(this, maxHeadBytes)
    this.isPlainTcp = socket.constructor === Socket && socket.remoteAddress !== undefined
    socket.on('data', (bytes) => this.onBytes(bytes))
    socket.on('end', () => this.onSocketEnd())
    socket.on('error', (error) => this.fail(isLoss(error) ? this.lost('reset', error) : error))
    socket.on('close', () => this.onSocketClose())
  }

  get isAlive(): boolean {
    return !this.socket.destroyed && this.socket.writable
  }

  /** How long the server keeps it when nothing is asked, ms, where it says so. */
  get keepAliveMs(): number | undefined {
    return this.reader.keepAliveMs
  }

  /** Sends the request; the handler has been told that it is connected. Throws, with nothing sent, when a field cannot be sent. */
  start(request: OutgoingRequest, handler: ResponseHandler): void {
    const { method, body } = request
    // A server that sends content to HEAD all the same must not have it read as the next answer.
    const mayStay = method !== 'HEAD'
    const head = headOf(request, mayStay)
    this.handler = handler
    this.requests++
    this.hasAnswerBegun = false
    this.mayStay = mayStay
    this.isChunked = request.contentLength === undefined
    this.reader.expect(method)
    this.socket.write(head, 'latin1')
    if (body) this.send(body)
    else handler.onRequestSent()
  }

  resume(): void {
    this.socket.resume()
  }

  abort(): void {
    this.handler = undefined
    this.dropBody()
    this.socket.destroy()
  }

  /** Ends an idle connection. */
  close(): void {
    this.socket.destroy()
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.handler?.onInterim(status, headers)
  }

  onHead(status: number, reason: string, headers: RawHeaders): void {
    this.handler?.onHead(status, reason, headers)
  }

  onBody(piece: Buffer): void {
    if (this.handler?.onData(piece) === false) this.socket.pause()
  }

  onEnd(): void {
    const { handler } = this
    this.handler = undefined
    // An answer before the end of the request: the rest would be read as another request, or keep the next one from being sent.
    const isWhole = this.body === undefined && !this.socket.writableNeedDrain
    this.dropBody()
    handler?.onComplete()
    if (!isWhole || !this.mayStay || !this.reader.canStay || !this.isAlive) return void this.socket.destroy()
    this.socket.resume()
    this.freeSince = performance.now()
    this.owner.onFree(this)
  }

  private onBytes(bytes: Buffer): void {
    this.hasAnswerBegun = true
    try {
      this.reader.push(bytes)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  /**
   * libuv reports a reset that comes together with the last bytes as an orderly end; an empty write then tells the truth: it fails
   * after a reset, so that content up to the close that was cut never passes for complete (RFC 9112 section 8). Plain TCP only.
   */
  private onSocketEnd(): void {
    if (!this.isPlainTcp || !this.reader.isReading || !this.socket.writable) return this.endOfStream()
    this.socket.write(NOTHING, (error) => {
      if (!error) this.endOfStream()
    })
  }

  private endOfStream(): void {
    if (!this.reader.end()) this.fail(this.lost('closed'))
    this.socket.destroy()
  }

  private onSocketClose(): void {
    if (this.handler) this.fail(this.lost('closed'))
    this.owner.onClosed(this)
  }

  private fail(error: Error): void {
    const { handler } = this
    this.handler = undefined
    this.dropBody()
    this.socket.destroy()
    handler?.onError(error)
  }

  private lost(how: 'closed' | 'reset', cause?: unknown): ConnectionLostError {
    return new ConnectionLostError(how, !this.hasAnswerBegun && this.requests > 1, cause)
  }

  private send(body: Upload): void {
    const { socket } = this
    this.body = body
    const onDrain = (): void => void body.resume()
    socket.on('drain', onDrain)
    body.once('close', () => socket.off('drain', onDrain))
    body.on('data', (piece: Buffer) => {
      if (!this.writePiece(piece)) body.pause()
    })
    body.on('end', () => {
      if (this.body !== body) return
      this.body = undefined
      if (this.isChunked) socket.write(LAST_CHUNK, 'latin1')
      this.handler?.onRequestSent()
    })
  }

  private writePiece(piece: Buffer): boolean {
    const { socket } = this
    if (!this.isChunked) return socket.write(piece)
    socket.cork()
    socket.write(`${piece.length.toString(16)}${CRLF}`, 'latin1')
    socket.write(piece)
    const canTakeMore = socket.write(CRLF, 'latin1')
    socket.uncork()
    return canTakeMore
  }

  private dropBody(): void {
    const { body } = this
    this.body = undefined
    body?.destroy()
  }
}

/** The head as it is sent, latin1. Throws rather than let a target or a field end its line. */
function headOf(request: OutgoingRequest, mayStay: boolean): string {
  const { method, host, headers } = request
  const requestLine = `${method} ${request.target}`
  if (!REQUEST_LINE.test(requestLine)) throw new TypeError('the request line cannot be sent')
  let head = `${requestLine} HTTP/1.1${CRLF}`
  if (host !== '') head += lineOf('Host', host)
  head += mayStay ? `Connection: keep-alive${CRLF}` : `Connection: close${CRLF}`
  for (let i = 0; i < headers.length; i += 2) head += lineOf(headers[i] as string, headers[i + 1] as string)
  return `${head}${request.ownLine}${framingOf(request)}${CRLF}`
}

function framingOf({ method, body, contentLength }: OutgoingRequest): string {
  if (body !== undefined) return contentLength === undefined ? `Transfer-Encoding: chunked${CRLF}` : `Content-Length: ${contentLength}${CRLF}`
  return EXPECTS_CONTENT.has(method) ? `Content-Length: 0${CRLF}` : ''
}

function lineOf(name: string, value: string): string {
  if (UNSENDABLE.test(value)) throw new TypeError(`the field ${name} cannot be sent`)
  return `${name}: ${value}${CRLF}`
}

function isLoss(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && LOST.has(error.code)
}
