import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, type Duplex } from 'node:stream'
import { GatewayError, UpstreamAbortedError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeoutError } from '../errors.ts'
import type { RawHeaders } from '../http/field-names.ts'
import { ClientGoneError, MAX_INTERIM, type Timeouts, type UpstreamResponse } from './forward.ts'
import { freshRequest } from './fresh-request.ts'
import type { Target, Upstream } from './upstream-pool.ts'

export interface UpgradeRequest {
  readonly target: string
  readonly headers: string[]
}

/** The upstream switched; nothing was relayed yet. What it sent behind its 101 waits in the socket. */
export interface UpstreamUpgrade {
  readonly kind: 'switched'
  readonly status: 101
  readonly headers: RawHeaders
  readonly protocol: string
  readonly socket: Duplex
}

/** The upstream answered with ordinary HTTP: it stays HTTP (CVE-2024-23326). */
export interface UpstreamDeclined extends UpstreamResponse {
  readonly kind: 'declined'
}

/** One upgrade as one promise, on a fresh connection of its own, never a pooled one (CVE-2026-58055). */
export class Tunnel {
  private target: Target | undefined
  private outgoing: ClientRequest | undefined
  private switched: Duplex | undefined
  private failure: Error | undefined

  constructor(private readonly upstream: Upstream, private readonly request: UpgradeRequest, private readonly timeouts: Timeouts) {}

  /** Tries each target until one is connected. Rejects with a GatewayError, or with what `abort` was given. */
  async start(): Promise<UpstreamUpgrade | UpstreamDeclined> {
    const tried: Target[] = []
    for (;;) {
      const target = this.upstream.choose(tried) as Target
      this.target = target
      try {
        return await this.ask(target)
      } catch (error) {
        if (!wasNeverSent(error)) throw error
        target.health.failed()
        tried.push(target)
        if (tried.length === this.upstream.targets.length) throw error
      }
    }
  }

  /** Ends the exchange with the upstream in whatever state it is; after the switch, the connection. */
  abort(error: Error): void {
    this.failure ??= error
    this.outgoing?.destroy(error)
    this.switched?.destroy()
  }

  get targetText(): string | undefined {
    return this.target?.text
  }

  private ask(target: Target): Promise<UpstreamUpgrade | UpstreamDeclined> {
    const { name } = this.upstream
    const { connectMs, firstByteMs, idleMs } = this.timeouts
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(this.failure)
      const outgoing = this.outgoing = send(target, this.upstream, this.request)
      let isConnected = false
      let interims = 0
      let timer = setTimeout(() => outgoing.destroy(new UpstreamTimeoutError(name, 'connect')), connectMs)
      outgoing.on('socket', (socket) => socket.once(target.origin.startsWith('https:') ? 'secureConnect' : 'connect', () => {
        isConnected = true
        target.health.succeeded()
        clearTimeout(timer)
        timer = setTimeout(() => outgoing.destroy(new UpstreamTimeoutError(name, 'firstByte')), firstByteMs)
      }))
      outgoing.on('information', () => {
        if (++interims > MAX_INTERIM) outgoing.destroy(new UpstreamProtocolError(name, `more than ${MAX_INTERIM} interim responses`))
      })
      outgoing.on('upgrade', (response, socket, early) => {
        clearTimeout(timer)
        this.switched = socket
        socket.on('error', ignore)
        if (early.length > 0) socket.unshift(early)
        resolve({ kind: 'switched', status: 101, headers: response.rawHeaders, protocol: response.headers.upgrade ?? '', socket })
      })
      outgoing.on('response', (response) => {
        clearTimeout(timer)
        if (response.statusCode === 101) return outgoing.destroy(new UpstreamProtocolError(name, 'a 101 that names no protocol'))
        response.setTimeout(idleMs, () => response.destroy(new UpstreamTimeoutError(name, 'idle')))
        resolve(declined(response))
      })
      outgoing.on('error', (error) => {
        clearTimeout(timer)
        reject(isConnected ? asGatewayError(name, error) : asConnectError(name, error))
      })
      outgoing.end()
    })
  }
}

function send(target: Target, { tls, maxResponseHeaderBytes }: Upstream, { target: path, headers }: UpgradeRequest): ClientRequest {
  const outgoing = freshRequest(target, tls, { path, maxHeaderSize: maxResponseHeaderBytes, headers })
  // Fields beyond a count would silently be lost, a mutation among them.
  outgoing.maxHeadersCount = 0
  return outgoing
}

function declined(response: IncomingMessage): UpstreamDeclined {
  return {
    kind: 'declined',
    status: response.statusCode ?? 502,
    reason: response.statusMessage ?? '',
    headers: response.rawHeaders,
    pipe(client: ServerResponse) {
      pipeline(response, client, (error) => {
        if (error) client.destroy()
      })
    },
  }
}

function wasNeverSent(error: unknown): boolean {
  return error instanceof UpstreamConnectError || (error instanceof UpstreamTimeoutError && error.phase === 'connect')
}

function asConnectError(upstream: string, error: Error): Error {
  return error instanceof GatewayError || error instanceof ClientGoneError ? error : new UpstreamConnectError(upstream, error)
}

function asGatewayError(upstream: string, error: Error): Error {
  if (error instanceof GatewayError || error instanceof ClientGoneError) return error
  const isUnreadable = 'code' in error && typeof error.code === 'string' && error.code.startsWith('HPE_')
  return isUnreadable ? new UpstreamProtocolError(upstream, error.message, error) : new UpstreamAbortedError(upstream, error)
}

function ignore(): void {
  // An error before relay() listens shows as 'close'.
}
