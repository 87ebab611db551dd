import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import {
  BodyTooLargeError, UpstreamAbortedError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeoutError,
} from '../errors.ts'
import type { RawHeaders } from '../http/field-names.ts'
import { ConnectionLostError } from './connection.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import { discardRest, Upload, type UploadWatcher } from './upload.ts'
import { errors } from './undici.ts'
import { ConnectFailedError, type Target, type Upstream } from './upstream-pool.ts'

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

export interface ForwardRequest {
  readonly method: string
  /** Origin-form, byte-exact as it came (RFC 9112 section 3.2.1). */
  readonly target: string
  /** Complete: nothing is added after this but framing. */
  readonly headers: string[]
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

/** undici's raw handler interface: field lines as bytes in order, as they came. (Its newer one hands out a merged object.) */
interface RawDispatchHandler {
  onConnect(abort: (error?: Error) => void): void
  onRequestSent(): void
  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, reason: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(): void
  onError(error: Error): void
}

/**
 * What is awaited: `connect` -> `upload` <-> `firstByte` -> `idle` <-> `client` -> the end. The client is to blame for a stall in
 * `upload` and `client`, the upstream in the others.
 */
type Phase = 'connect' | 'upload' | 'firstByte' | 'idle' | 'client'

const EARLY_HINTS = 103
const NOT_MODIFIED = 304
export const MAX_INTERIM = 32
/** A connection attempt ends itself in time and may be followed by one to another target; later than this, the pool is exhausted. */
const CONNECT_SLACK_MS = 50
/** At most this much body waits in memory for the head to be committed; more stays in the upstream's socket. */
const MAX_HELD_BYTES = 65_536
const MAX_JOINED_BYTES = 16_384
const CONTROL = /[^\t\x20-\x7e\x80-\uffff]/
const NOT_ASCII = /[^\t\x20-\x7e]/
const TRANSFER_ENCODING = 'transfer-encoding'
const RESENDABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * One HTTP exchange with an upstream on undici's dispatch, as one promise for the head. Retries on another target what was never
 * sent, and once a bodiless safe request whose reused connection turned out dead (RFC 9110 section 9.2.2); nothing else.
 */
export class Exchange implements RawDispatchHandler, Watched, UploadWatcher {
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
  private isNotModified = false
  private hasEnded = false
  private failure: Error | undefined
  private interims = 0
  private heldBytes = 0
  private held: Buffer[] = []
  private sink: ServerResponse | undefined
  private resumeUpstream: (() => void) | undefined
  private abortUpstream: ((error?: Error) => void) | undefined
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
    this.abortUpstream?.(error)
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
    const { method, target: path, headers } = this.request
    target.dispatcher.dispatch({ path, method, headers, body: this.upload ?? null }, this)
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

  /** Throwing takes a request that failed while it waited for a connection out of undici's queue and leaves the connection alone. */
  onConnect(abort: (error?: Error) => void): void {
    if (this.failure) throw this.failure
    this.isConnected = true
    this.abortUpstream = abort
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

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, reason: string): boolean {
    if (status < 200) return this.onInterim(status, rawHeaders)
    if (status > 599 || CONTROL.test(reason)) return this.refuse('invalid status line')
    const headers = latin1(rawHeaders)
    if (isCoded(headers)) return this.refuse('a transfer coding that was not asked for')
    this.hasHead = true
    this.isNotModified = status === NOT_MODIFIED
    this.resumeUpstream = resume
    this.await('idle', this.timeouts.idleMs)
    this.resolve({ status, reason: NOT_ASCII.test(reason) ? '' : reason, headers, pipe: (response) => this.pipe(response) })
    return true
  }

  private onInterim(status: number, rawHeaders: Buffer[]): boolean {
    if (status < 100) return this.refuse('invalid status line')
    if (++this.interims > MAX_INTERIM) return this.refuse(`more than ${MAX_INTERIM} interim responses`)
    if (status === EARLY_HINTS) this.request.onEarlyHints?.(latin1(rawHeaders))
    return true
  }

  private refuse(reason: string): false {
    this.fail(new UpstreamProtocolError(this.upstream.name, reason))
    return false
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
    this.abortUpstream = undefined
    if (this.failure) return
    // The length in a 304 is that of what GET would have got (RFC 9110 section 8.6); undici misses the content.
    if (this.isNotModified && error instanceof errors.ResponseContentLengthMismatchError) return this.onComplete()
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
    if (canTakeMore) this.resumeUpstream?.()
    else this.await('client', this.request.limits.responseIdleMs)
  }

  /** After the end `resumeUpstream` belongs to the next exchange on the connection. */
  private onDrain(): void {
    if (this.hasEnded || this.failure) return
    this.await('idle', this.timeouts.idleMs)
    this.resumeUpstream?.()
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

function latin1(raw: readonly Buffer[]): string[] {
  return raw.map((bytes) => bytes.toString('latin1'))
}

/** We send no TE, so nothing but chunked may come back (RFC 9112 section 6.1): any other coding would pass as content. */
function isCoded(headers: RawHeaders): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === TRANSFER_ENCODING.length && name.toLowerCase() === TRANSFER_ENCODING && headers[i + 1]?.toLowerCase() !== 'chunked') return true
  }
  return false
}

function asGatewayError(upstream: string, error: Error): Error {
  if (error instanceof ClientGoneError) return error
  return isLostConnection(error) ? new UpstreamAbortedError(upstream, error) : new UpstreamProtocolError(upstream, error.message, error)
}

function isLostConnection(error: Error): boolean {
  if (error instanceof ConnectionLostError || 'syscall' in error) return true
  return 'code' in error && error.code === 'UND_ERR_SOCKET' && error.message.endsWith('closed')
}
