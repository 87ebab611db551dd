import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Peer } from '../proxy/forwarded.ts'
import type { Committed, Opened } from '../session/sessions.ts'
import { peerOf } from './peer.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'

const INSTANCE = randomBytes(6).toString('base64url')
let counter = 0

/** The part of an exchange or a tunnel that a failure ends and a log line names. */
export interface Traced {
  readonly targetText: string | undefined
  abort(error: Error): void
}

/** What is told of one request when it is over: one log line and its metrics. Holds no cookie, id, query or assertion. */
export interface Trace {
  readonly requestId: string
  readonly peer: Peer
  readonly route: string | undefined
  readonly loginUrl: string | undefined
  exchange: Traced | undefined
  error: unknown
  admitted(admitted: Admitted): void
  opened(opened: Opened): void
  headArrived(): void
  committed(committed: Committed): void
}

export function startTrace(gateway: Gateway, request: IncomingMessage, response: ServerResponse): Trace {
  const trace = new RequestTrace(gateway, request, response)
  response.on('close', () => trace.finish())
  return trace
}

class RequestTrace implements Trace {
  readonly requestId = `${INSTANCE}-${(++counter).toString(36)}`
  readonly peer: Peer
  exchange: Traced | undefined
  error: unknown
  private admission: Admitted | undefined
  private openedSession: Opened | undefined
  private outcome: string | undefined
  private readonly startedAt = performance.now()
  private openedAt = 0
  private headAt = 0
  private committedAt = 0

  constructor(private readonly gateway: Gateway, private readonly request: IncomingMessage, private readonly response: ServerResponse) {
    this.peer = peerOf(request.socket, gateway.isTrusted)
  }

  get route(): string | undefined {
    return this.admission?.route.name
  }

  get loginUrl(): string | undefined {
    return this.admission?.route.loginUrl
  }

  admitted(admitted: Admitted): void {
    this.admission = admitted
  }

  opened(opened: Opened): void {
    this.openedSession = opened
    this.openedAt = performance.now()
  }

  headArrived(): void {
    this.headAt = performance.now()
    this.gateway.metrics.phase('upstream', (this.headAt - this.openedAt) / 1_000)
  }

  committed({ outcome }: Committed): void {
    this.outcome = outcome
    this.committedAt = performance.now()
  }

  finish(): void {
    const { gateway, response, admission } = this
    const endedAt = performance.now()
    const status = response.headersSent ? response.statusCode : 499
    gateway.metrics.request(admission?.route.name ?? 'none', status, (endedAt - this.startedAt) / 1_000)
    if (gateway.logRequests && gateway.log.isLevelEnabled('info')) gateway.log.info(this.line(status, endedAt), 'request')
  }

  private line(status: number, endedAt: number): object {
    const { request, response, admission } = this
    return {
      req: this.requestId,
      client: admission?.view.clientAddress ?? this.peer.address,
      method: request.method,
      host: admission?.headers.host,
      path: admission?.target.path,
      route: admission?.route.name,
      target: this.exchange?.targetText,
      status,
      ...(response.writableFinished ? {} : { aborted: true }),
      session: this.openedSession?.loaded?.session.handle,
      commit: this.outcome,
      traceparent: request.headers['traceparent'],
      ms: round(endedAt - this.startedAt),
      openMs: this.openedAt ? round(this.openedAt - this.startedAt) : undefined,
      upstreamMs: this.headAt ? round(this.headAt - this.openedAt) : undefined,
      commitMs: this.committedAt ? round(this.committedAt - this.headAt) : undefined,
      ...describe(this.error),
    }
  }
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}

function describe(error: unknown): object | undefined {
  if (error === undefined) return undefined
  if (!(error instanceof Error)) return { error: 'unknown' }
  return { error: error.message, code: 'code' in error ? error.code : error.name }
}
