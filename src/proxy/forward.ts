import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import {
  BodyTooLargeError, type GatewayError, UpstreamAbortedError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeoutError,
} from '../errors.ts'
import type { RawHeaders } from '../http/field-names.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import type { Target, Upstream } from './upstream-pool.ts'

/** All in ms; 0 means no limit. */
export interface Timeouts {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
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
  /** The client may stop sending its body for this long. */
  readonly bodyIdleMs: number
  /** The client may stop reading the response for this long. */
  readonly responseIdleMs: number
  readonly onEarlyHints: ((headers: RawHeaders) => void) | undefined
}

/** A response head; its body has not been read. Exactly one of `pipe` and `Exchange.abort` must follow. */
export interface UpstreamResponse {
  readonly status: number
  readonly reason: string
  readonly headers: RawHeaders
  /** Streams the body with back-pressure and ends `response`; on an upstream failure destroys it, so truncation is visible. */
  pipe(response: ServerResponse): void
}

/** Why a client's stall ended the exchange: there is nobody left to answer. */
export class ClientStalledError extends Error {}
/** The client closed its connection. */
export class ClientGoneError extends Error {}

/** undici's raw handler interface: field lines as bytes in order, as they came. (Its newer one hands out a merged object.) */
interface RawDispatchHandler {
  onConnect(abort: (error?: Error) => void): void
  onBodySent(chunk: Buffer): void
  onRequestSent(): void
  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, reason: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(): void
  onError(error: Error): void
}

type Phase = 'connect' | 'upload' | 'firstByte' | 'idle' | 'client'

const EARLY_HINTS = 103
const MAX_INTERIM = 32
/** At most this much body waits in memory for the head to be committed; more stays in the upstream's socket. */
const MAX_HELD_BYTES = 65_536
const BAD_REASON = /[^\t\x20-\x7e\x80-\xff]/
const RESENDABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * One HTTP exchange with an upstream on undici's dispatch, as one promise for the head. Retries on another target what was never
 * sent, and once a bodiless safe request whose reused connection turned out dead (RFC 9110 section 9.2.2); nothing else.
 */
export class Exchange implements RawDispatchHandler, Watched {
  deadlineAt = Infinity
  bodyBytesReceived = 0
  private phase: Phase = 'connect'
  private readonly totalDeadlineAt: number
  private readonly tried: Target[] = []
  private target: Target | undefined
  private isConnected = false
  private wasResent = false
  private hasHead = false
  private hasEnded = false
  private failure: Error | undefined
  private interims = 0
  private requestBytes = 0
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

  /** Resolves at the response head, body unread. Rejects with a GatewayError, or ClientGoneError after `abort`. */
  start(): Promise<UpstreamResponse> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
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
    this.await('connect', this.timeouts.connectMs)
    const { method, target: path, headers, body } = this.request
    target.dispatcher.dispatch({ path, method: method, headers, body: body ?? null }, this as object)
  }

  private await(phase: Phase, limitMs: number): void {
    this.phase = phase
    this.deadlineAt = Math.min(limitMs > 0 ? performance.now() + limitMs : Infinity, this.totalDeadlineAt)
  }

  onDeadline(): void {
    const isTotal = performance.now() >= this.totalDeadlineAt
    if (this.phase === 'client' || (this.phase === 'upload' && !isTotal)) return this.fail(new ClientStalledError('the client stalled'))
    this.fail(new UpstreamTimeoutError(this.upstream.name, isTotal ? 'total' : (this.phase as 'connect' | 'firstByte' | 'idle')))
  }

  /** Before the head the promise rejects; after it the client's connection is cut, since nothing else can say "incomplete". */
  private fail(error: Error): void {
    this.abort(error)
    this.sink?.destroy()
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.failure) return abort(this.failure)
    this.isConnected = true
    this.abortUpstream = abort
    this.target?.health.succeeded()
    if (this.request.body) this.await('upload', this.request.bodyIdleMs)
    else this.await('firstByte', this.timeouts.firstByteMs)
  }

  onBodySent(chunk: Buffer): void {
    this.requestBytes += chunk.length
    if (this.requestBytes > this.request.maxBodyBytes) this.fail(new BodyTooLargeError(this.request.maxBodyBytes))
    else if (this.phase === 'upload') this.await('upload', this.request.bodyIdleMs)
  }

  onRequestSent(): void {
    if (this.phase === 'upload') this.await('firstByte', this.timeouts.firstByteMs)
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, reason: string): boolean {
    if (status < 200) {
      if (++this.interims > MAX_INTERIM) throw new UpstreamProtocolError(this.upstream.name, `more than ${MAX_INTERIM} interim responses`)
      if (status === EARLY_HINTS) this.request.onEarlyHints?.(latin1(rawHeaders))
      return true
    }
    if (status > 599 || BAD_REASON.test(reason)) throw new UpstreamProtocolError(this.upstream.name, 'invalid status line')
    this.hasHead = true
    this.resumeUpstream = resume
    this.await('idle', this.timeouts.idleMs)
    this.resolve({ status, reason, headers: latin1(rawHeaders), pipe: (response) => this.pipe(response) })
    return true
  }

  onData(chunk: Buffer): boolean {
    this.bodyBytesReceived += chunk.length
    if (!this.sink) {
      this.held.push(chunk)
      this.heldBytes += chunk.length
      return this.heldBytes < MAX_HELD_BYTES
    }
    if (this.sink.write(chunk)) {
      this.await('idle', this.timeouts.idleMs)
      return true
    }
    this.await('client', this.request.responseIdleMs)
    return false
  }

  onComplete(): void {
    this.hasEnded = true
    this.deadlines.unwatch(this)
    this.sink?.end()
  }

  onError(error: Error): void {
    this.abortUpstream = undefined
    if (this.failure) return
    if (this.hasHead) return this.fail(new UpstreamAbortedError(this.upstream.name, error))
    if (!this.isConnected) return this.retryElsewhere(error)
    if (this.isDeadConnection(error)) return this.resend()
    this.fail(asGatewayError(this.upstream.name, error))
  }

  private retryElsewhere(error: Error): void {
    if (!this.target) return
    this.target.health.failed()
    this.tried.push(this.target)
    if (this.tried.length < this.upstream.targets.length) return this.dispatch()
    this.fail(isConnectTimeout(error) ? new UpstreamTimeoutError(this.upstream.name, 'connect') : new UpstreamConnectError(this.upstream.name, error))
  }

  private isDeadConnection(error: Error): boolean {
    return !this.wasResent && !this.request.body && RESENDABLE.has(this.request.method) && this.interims === 0 && isClosedByPeer(error)
  }

  private resend(): void {
    this.wasResent = true
    this.dispatch()
  }

  private pipe(response: ServerResponse): void {
    const { held } = this
    this.held = []
    if (this.failure) return void response.destroy()
    if (this.hasEnded) {
      for (const chunk of held.slice(0, -1)) response.write(chunk)
      return void response.end(held.at(-1))
    }
    this.sink = response
    response.on('drain', () => {
      this.await('idle', this.timeouts.idleMs)
      this.resumeUpstream?.()
    })
    let canTakeMore = true
    for (const chunk of held) canTakeMore = response.write(chunk)
    if (held.length === 0) response.flushHeaders()
    if (canTakeMore) this.resumeUpstream?.()
    else this.await('client', this.request.responseIdleMs)
  }
}

function latin1(raw: readonly Buffer[]): string[] {
  return raw.map((bytes) => bytes.toString('latin1'))
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function isConnectTimeout(error: Error): boolean {
  return codeOf(error) === 'UND_ERR_CONNECT_TIMEOUT'
}

function isClosedByPeer(error: Error): boolean {
  const code = codeOf(error)
  return code === 'ERR_UPSTREAM_RESET' || code === 'EPIPE' || (code === 'UND_ERR_SOCKET' && error.message === 'other side closed')
}

function asGatewayError(upstream: string, error: Error): GatewayError {
  return isClosedByPeer(error) ? new UpstreamAbortedError(upstream, error) : new UpstreamProtocolError(upstream, error.message, error)
}
