import { request as httpRequest, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline, type Duplex } from 'node:stream'
import { UpstreamAbortedError, UpstreamConnectError, UpstreamTimeoutError } from '../errors.ts'
import type { RawHeaders } from '../http/field-names.ts'
import type { Timeouts, UpstreamResponse } from './forward.ts'
import type { Target, Upstream } from './upstream-pool.ts'

export interface UpgradeRequest {
  readonly target: string
  readonly headers: string[]
}

/** The upstream switched; nothing was relayed yet. */
export interface UpstreamUpgrade {
  readonly kind: 'switched'
  readonly status: number
  readonly headers: RawHeaders
  readonly protocol: string
  readonly socket: Duplex
  /** What the upstream sent right behind its 101. */
  readonly early: Buffer
}

/** The upstream answered with ordinary HTTP: it stays HTTP (CVE-2024-23326). */
export interface UpstreamDeclined extends UpstreamResponse {
  readonly kind: 'declined'
}

/** One upgrade as one promise, on a fresh connection of its own, never a pooled one (CVE-2026-58055). */
export interface Tunnel {
  start(): Promise<UpstreamUpgrade | UpstreamDeclined>
  abort(error: Error): void
  readonly targetText: string | undefined
}

export function openTunnel(upstream: Upstream, { target: path, headers }: UpgradeRequest, timeouts: Timeouts): Tunnel {
  const target = upstream.choose([]) as Target
  let outgoing: ClientRequest | undefined
  let rejectStart: ((error: Error) => void) | undefined

  function abort(error: Error): void {
    rejectStart?.(error)
    outgoing?.destroy()
  }

  function start(): Promise<UpstreamUpgrade | UpstreamDeclined> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      let isConnected = false
      const arm = (phase: 'connect' | 'firstByte', limitMs: number): void => {
        clearTimeout(timer)
        if (limitMs > 0) timer = setTimeout(() => abort(new UpstreamTimeoutError(upstream.name, phase)), limitMs)
      }
      const settle = <T>(done: (value: T) => void) => (value: T): void => {
        clearTimeout(timer)
        rejectStart = undefined
        done(value)
      }
      rejectStart = settle(reject)
      arm('connect', timeouts.connectMs)
      outgoing = send(target, upstream, path, headers)
      outgoing.on('socket', (socket) => socket.on('connect', () => {
        isConnected = true
        arm('firstByte', timeouts.firstByteMs)
      }))
      outgoing.on('upgrade', (response, socket, early) => {
        socket.on('error', ignore)
        settle(resolve)({ kind: 'switched', status: 101, headers: response.rawHeaders, protocol: response.headers.upgrade ?? '', socket, early })
      })
      outgoing.on('response', (response) => settle(resolve)(declined(response)))
      outgoing.on('error', (error) => rejectStart?.(isConnected ? new UpstreamAbortedError(upstream.name, error) : new UpstreamConnectError(upstream.name, error)))
      outgoing.end()
    })
  }

  return { start, abort, targetText: target.text }
}

function send(target: Target, { tls }: Upstream, path: string, headers: string[]): ClientRequest {
  const { hostname, port, protocol } = new URL(target.origin)
  const options = {
    method: 'GET', path, agent: false as const, headers: headers as unknown as NodeJS.Dict<string>,
    ...(target.socketPath === undefined ? { host: hostname.replace(/^\[|\]$/g, ''), port } : { socketPath: target.socketPath }),
  }
  if (protocol !== 'https:') return httpRequest(options)
  return httpsRequest({
    ...options, rejectUnauthorized: tls.rejectUnauthorized, servername: tls.servername ?? hostname, ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  })
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

export interface RelayOptions {
  readonly early: Buffer
  readonly fromUpstream: Buffer
  /** Closed after this long without a byte in either direction. 0: never. */
  readonly idleMs: number
  readonly maxAgeMs: number
}

/** Copies opaque bytes both ways with back-pressure until either side ends; then both are gone within a second. */
export function relay(client: Duplex, upstream: Duplex, { early, fromUpstream, idleMs, maxAgeMs }: RelayOptions): void {
  if (fromUpstream.length > 0) client.write(fromUpstream)
  if (early.length > 0) upstream.write(early)
  const age = maxAgeMs > 0 ? setTimeout(close, maxAgeMs).unref() : undefined
  let lastByteAt = performance.now()
  const idle = idleMs > 0 ? setInterval(() => performance.now() - lastByteAt > idleMs && close(), Math.max(50, idleMs / 4)).unref() : undefined
  const seen = (): void => { lastByteAt = performance.now() }

  function close(): void {
    clearTimeout(age)
    clearInterval(idle)
    client.destroy()
    upstream.destroy()
  }

  for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
    from.on('data', seen)
    from.on('error', close)
    from.on('end', () => setTimeout(close, LINGER_MS).unref())
    from.on('close', () => setTimeout(close, 0))
    from.pipe(to)
  }
}

const LINGER_MS = 500

function ignore(): void {
  // An error before relay() listens shows as 'close'.
}
