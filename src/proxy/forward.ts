import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import {
  BodyTooLargeError, UpstreamAbortedError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeoutError,
} from '../errors.ts'
import type { RawHeaders } from '../http/field-names.ts'
import { ConnectFailedError } from './connection-pool.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import { discardRest, Upload, type UploadWatcher } from './upload.ts'
import { ConnectionLostError, type OutgoingRequest, type ResponseHandler, type RunningExchange } from './upstream-connection.ts'
import type { Target, Upstream } from './upstream-pool.ts'

/** All in ms; 0 means no limit. */
export interface Timeouts {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
}

/** What a client may cost while an exchange lasts. */
export interface ClientLimits {
  /** The client may stop sending its body for this long. */
  readonly bodyIdleMs: number
  /** Bytes per second its body must average, once 10 s were spent on waiting for it; 0: no limit. */
  readonly minBodyRate: number
  /** The client may stop reading the response for this long. */
  readonly responseIdleMs: number
}

/** What is asked of an upstream, its body as the client sends it. */
export interface ForwardRequest extends Omit<OutgoingRequest, 'body'> {
  /** Undefined when the request has no body. */
  readonly body: IncomingMessage | undefined
  readonly maxBodyBytes: number
  readonly limits: ClientLimits
  readonly onEarlyHints: ((headers: RawHeaders) => void) | undefined
}

/** A response head; its body has not been read. Exactly one of `pipe` and `Exchange.abort` must follow. */
export interface UpstreamResponse {
  readonly status: number
  readonly reason: string
  readonly headers: RawHeaders
  /** Streams the body with back-pressure and ends `response`; on an upstream failure cuts it, so truncation is visible. */
  pipe(response: ServerResponse): void
}

/** Why a client's stall ended the exchange: it sends too slowly, or reads too slowly. */
export class ClientStalledError extends Error {}
/** The client closed its connection. */
export class ClientGoneError extends Error {}

/**
 * What is awaited: `connect` -> `upload` <-> `firstByte` -> `idle` <-> `client` -> the end. The client is to blame for a stall in
 * `upload` and `client`, the upstream in the others.
 */
type Phase = 'connect' | 'upload' | 'firstByte' | 'idle' | 'client'

const EARLY_HINTS = 103
export const MAX_INTERIM = 32
/** A connection attempt ends itself in time and may be followed by one to another target; later than this, the pool is exhausted. */
const CONNECT_SLACK_MS = 50
/** At most this much body waits in memory for the head to be committed; more stays in the upstream's socket. */
const MAX_HELD_BYTES = 65_536
const MAX_JOINED_BYTES = 16_384
const NOT_ASCII = /[^\t\x20-\x7e]/
const RESENDABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * One HTTP exchange with an upstream, as one promise for the head. Retries on another target what was never
 * sent, and once a bodiless safe request whose reused connection turned out dead (RFC 9110 section 9.2.2); nothing else.
 */
export class Exchange implements ResponseHandler, Watched, UploadWatcher {
  deadlineAt = Infinity
  slot: number | undefined
  private phase: Phase = 'connect'
  private readonly totalDeadlineAt: number
  private upload: Upload | undefined
  private readonly tried: Target[] = []
  private target: Target | undefined
  private isConnected = false
  private wasResent = false
  private hasHead = false
  private hasEnded = false
  private failure: Error | undefined
  private interims = 0
  private heldBytes = 0
  private held: Buffer[] = []
  private sink: ServerResponse | undefined
  private running: RunningExchange | undefined
  private resolve!: (response: UpstreamResponse) => void
  private reject!: (error: Error) => void

  constructor(
    private readonly upstream: Upstream,
    private readonly request: ForwardRequest,
    private readonly timeouts: Timeouts,
    private readonly deadlines: Deadlines,
  ) {
    this.totalDeadlineAt = timeouts.totalMs > 0 ? performance.now() + timeouts.totalMs : Infinity
  }

  /** Resolves at the response head, body unread. Rejects with a GatewayError, ClientStalledError, or what `abort` was given. */
  start(): Promise<UpstreamResponse> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
      const { body, maxBodyBytes, limits } = this.request
      this.upload = body && new Upload(body, { maxBytes: maxBodyBytes, minRate: limits.minBodyRate }, this)
      this.deadlines.watch(this)
      this.dispatch()
    })
  }

  /** Ends the exchange with the upstream in whatever state it is. */
  abort(error: Error): void {
    if (this.failure || this.hasEnded) return
    this.failure = error
    this.deadlines.unwatch(this)
    this.running?.abort()
    this.upload?.destroy()
    if (!this.hasHead) this.reject(error)
  }

  get targetText(): string | undefined {
    return this.target?.text
  }

  private dispatch(): void {
    const target = this.upstream.choose(this.tried)
    if (!target) return this.fail(new UpstreamConnectError(this.upstream.name, 'no target left'))
    this.target = target
    this.isConnected = false
    this.await('connect', this.timeouts.connectMs + CONNECT_SLACK_MS)
    const { method, target: path, host, headers, ownLine, contentLength } = this.request
    target.pool.dispatch({ method, target: path, host, headers, ownLine, body: this.upload, contentLength }, this)
  }

  private await(phase: Phase, limitMs: number): void {
    this.phase = phase
    this.deadlineAt = Math.min(limitMs > 0 ? performance.now() + limitMs : Infinity, this.totalDeadlineAt)
  }

  onDeadline(): void {
    const isTotal = performance.now() >= this.totalDeadlineAt
    const { phase } = this
    if (isTotal) return this.fail(new UpstreamTimeoutError(this.upstream.name, 'total'))
    if (phase === 'upload' || phase === 'client') return this.fail(new ClientStalledError('the client stalled'))
    this.fail(new UpstreamTimeoutError(this.upstream.name, phase))
  }

  /** Before the head the promise rejects; after it the client's connection is cut, since nothing else can say "incomplete". */
  private fail(error: Error): void {
    this.abort(error)
    if (this.sink) cut(this.sink)
  }

  get isWanted(): boolean {
    return this.failure === undefined
  }

  onConnected(running: RunningExchange): void {
    this.isConnected = true
    this.running = running
    this.target?.health.succeeded()
    if (this.upload) this.await('upload', this.request.limits.bodyIdleMs)
    else this.await('firstByte', this.timeouts.firstByteMs)
  }

  onUploadMoved(): void {
    if (this.isConnected && !this.hasHead) this.await('upload', this.request.limits.bodyIdleMs)
  }

  onUploadBlocked(): void {
    if (this.phase === 'upload') this.await('firstByte', this.timeouts.firstByteMs)
  }

  onUploadTooLarge(): void {
    this.fail(new BodyTooLargeError(this.request.maxBodyBytes))
  }

  onUploadTooSlow(): void {
    this.fail(new ClientStalledError('the client sends too slowly'))
  }

  onRequestSent(): void {
    if (this.phase === 'upload') this.await('firstByte', this.timeouts.firstByteMs)
  }

  onInterim(status: number, headers: RawHeaders): void {
    if (++this.interims > MAX_INTERIM) return this.refuse(`more than ${MAX_INTERIM} interim responses`)
    if (status === EARLY_HINTS) this.request.onEarlyHints?.(headers)
  }

  onHead(status: number, reason: string, headers: RawHeaders): void {
    if (status > 599) return this.refuse('invalid status line')
    this.hasHead = true
    this.await('idle', this.timeouts.idleMs)
    this.resolve({ status, reason: NOT_ASCII.test(reason) ? '' : reason, headers, pipe: (response) => this.pipe(response) })
  }

  private refuse(reason: string): void {
    this.fail(new UpstreamProtocolError(this.upstream.name, reason))
  }

  onData(chunk: Buffer): boolean {
    if (!this.sink) {
      this.held.push(chunk)
      this.heldBytes += chunk.length
      return this.heldBytes < MAX_HELD_BYTES
    }
    if (this.sink.write(chunk)) {
      this.await('idle', this.timeouts.idleMs)
      return true
    }
    this.await('client', this.request.limits.responseIdleMs)
    return false
  }

  onComplete(): void {
    this.hasEnded = true
    this.deadlines.unwatch(this)
    if (!this.sink) return
    this.sink.end()
    this.dropUpload(this.sink)
  }

  onError(error: Error): void {
    this.running = undefined
    if (this.failure) return
    if (this.hasHead) return this.fail(new UpstreamAbortedError(this.upstream.name, error))
    if (error instanceof ConnectFailedError) return this.retryElsewhere(error)
    if (error instanceof ConnectionLostError && error.wasStale && this.mayResend()) return this.resend()
    this.fail(asGatewayError(this.upstream.name, error))
  }

  private retryElsewhere(error: ConnectFailedError): void {
    if (!this.target) return
    this.target.health.failed()
    this.tried.push(this.target)
    if (this.tried.length < this.upstream.targets.length) return this.dispatch()
    this.fail(error.isTimeout ? new UpstreamTimeoutError(this.upstream.name, 'connect') : new UpstreamConnectError(this.upstream.name, error.cause))
  }

  private mayResend(): boolean {
    return !this.wasResent && !this.upload && RESENDABLE.has(this.request.method)
  }

  private resend(): void {
    this.wasResent = true
    this.dispatch()
  }

  private pipe(response: ServerResponse): void {
    const { held } = this
    this.held = []
    if (this.failure) return cut(response)
    if (this.hasEnded) {
      endWith(response, held)
      return this.dropUpload(response)
    }
    this.sink = response
    response.on('drain', () => this.onDrain())
    let canTakeMore = true
    for (const chunk of held) canTakeMore = response.write(chunk)
    if (held.length === 0) response.flushHeaders()
    if (canTakeMore) this.running?.resume()
    else this.await('client', this.request.limits.responseIdleMs)
  }

  /** After the end the connection belongs to another exchange. */
  private onDrain(): void {
    if (this.hasEnded || this.failure) return
    this.await('idle', this.timeouts.idleMs)
    this.running?.resume()
  }

  /** The upstream has answered in full without reading all of the request: nobody reads the rest. */
  private dropUpload(response: ServerResponse): void {
    if (this.request.body) discardRest(this.request.body, response)
  }
}

/**
 * A short body goes out with the head in one write: as latin1 text, which is byte for byte the same, it joins the head's string.
 * Where the head gives its length, nothing follows it, so the write need not wait for the end.
 */
function endWith(response: ServerResponse, held: readonly Buffer[]): void {
  const { socket } = response
  const [only] = held
  if (held.length === 1 && only && only.length <= MAX_JOINED_BYTES) {
    const text = only.toString('latin1')
    if (response.chunkedEncoding || !socket) return void response.end(text, 'latin1')
    socket.cork()
    response.write(text, 'latin1')
    socket.uncork()
  } else {
    for (const chunk of held) response.write(chunk)
  }
  response.end()
}

/**
 * Ends a response so that the client can tell that it is incomplete: its head, but no end of its body. An HTTP/1.0 client takes a
 * plain close for the end of the body (RFC 9112 section 6.3), so its connection is reset (TLS and unix sockets have no reset).
 */
function cut(response: ServerResponse): void {
  if (response.destroyed) return
  response.flushHeaders()
  const { socket } = response
  if (response.req.httpVersionMinor === 0 && socket?.constructor === Socket && socket.remoteAddress !== undefined) socket.resetAndDestroy()
  response.destroy()
}

function asGatewayError(upstream: string, error: Error): Error {
  if (error instanceof ClientGoneError) return error
  return isLostConnection(error) ? new UpstreamAbortedError(upstream, error) : new UpstreamProtocolError(upstream, error.message, error)
}

function isLostConnection(error: Error): boolean {
  return error instanceof ConnectionLostError || 'syscall' in error
}
