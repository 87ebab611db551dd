import type { Socket } from 'node:net'
import type { buildConnector as Connectors, Dispatcher } from 'undici'
import { correctConnection } from './connection.ts'
import { createTargetHealth, type TargetHealth } from './target-health.ts'
import { buildConnector, Pool } from './undici.ts'

/** One server of an app. */
export interface TargetOptions {
  /** As the operator wrote it, for logs. */
  readonly text: string
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string
  readonly socketPath: string | undefined
}

export interface UpstreamOptions {
  readonly name: string
  readonly targets: readonly TargetOptions[]
  readonly connections: number
  readonly connectMs: number
  /** Response head limit, bytes. */
  readonly maxResponseHeaderBytes: number
  readonly tls: { readonly ca: string | undefined; readonly servername: string | undefined; readonly rejectUnauthorized: boolean }
  readonly health: { readonly failures: number; readonly cooldownMs: number; readonly path: string | undefined; readonly intervalMs: number; readonly timeoutMs: number }
  readonly onHealthChange: (target: string, isHealthy: boolean) => void
}

export interface Target extends TargetOptions {
  readonly dispatcher: Dispatcher
  readonly health: TargetHealth
}

/** The servers of one app and their connections. */
export interface Upstream {
  readonly name: string
  readonly targets: readonly Target[]
  readonly tls: UpstreamOptions['tls']
  readonly maxResponseHeaderBytes: number
  /** The next healthy target in turn that was not tried yet; any untried one when none is healthy; undefined when all were tried. */
  choose(tried: readonly Target[]): Target | undefined
  /** Closes idle connections and, when all exchanges have ended, the rest. */
  close(): Promise<void>
}

/** A connection attempt that failed: whatever was to be sent on it was not. */
export class ConnectFailedError extends Error {
  readonly code = 'ERR_UPSTREAM_CONNECT_FAILED'

  constructor(override readonly cause: Error | null, readonly isTimeout: boolean) {
    super('no connection', { cause })
  }
}

const KEEP_ALIVE_MS = 4_000

export function createUpstream(options: UpstreamOptions): Upstream {
  const targets = options.targets.map((target) => openTarget(target, options))
  let turn = 0

  return {
    name: options.name,
    tls: options.tls,
    maxResponseHeaderBytes: options.maxResponseHeaderBytes,
    targets,
    choose(tried) {
      const [only] = targets
      if (targets.length === 1) return tried.length === 0 ? only : undefined
      const start = turn++ % targets.length
      const inTurn = [...targets.slice(start), ...targets.slice(0, start)].filter((target) => !tried.includes(target))
      return inTurn.find(({ health }) => health.isHealthy()) ?? inTurn[0]
    },
    async close() {
      for (const { health } of targets) health.stop()
      await Promise.all(targets.map(({ dispatcher }) => dispatcher.close()))
    },
  }
}

function openTarget(target: TargetOptions, options: UpstreamOptions): Target {
  const dispatcher = new Pool(target.origin, {
    connections: options.connections,
    pipelining: 1,
    // Ours are checked by proxy/deadlines.ts, which knows the phases and costs no timer.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Shorter than the keep-alive of common servers (node:http closes after 5 s), so that a reused connection is seldom a dead one.
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: options.maxResponseHeaderBytes,
    connect: connectorOf(target, options),
  })
  const health = createTargetHealth(dispatcher, options.health, (isHealthy) => options.onHealthChange(target.text, isHealthy))
  return { ...target, dispatcher, health }
}

/** Opens connections in at most `connectMs`, and puts right what undici would read wrongly from them. */
function connectorOf({ socketPath }: TargetOptions, { connectMs, tls }: UpstreamOptions): Connectors.connector {
  // Its own timer may be a second late; and it returns the socket, though its type does not say so.
  const connect = buildConnector({
    timeout: 0,
    allowH2: false,
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.servername === undefined ? {} : { servername: tls.servername }),
  }) as (...parameters: Parameters<Connectors.connector>) => Socket

  return (address, callback) => {
    let isTimeout = false
    const connecting = connect(address, (error, socket) => {
      clearTimeout(timer)
      if (!socket) return callback(new ConnectFailedError(error, isTimeout), null)
      correctConnection(socket)
      callback(null, socket)
    })
    const timer = setTimeout(() => {
      isTimeout = true
      connecting.destroy(new Error(`no connection within ${connectMs} ms`))
    }, connectMs)
  }
}
