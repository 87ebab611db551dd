import { buildConnector, Pool, type Dispatcher } from 'undici'
import { createTargetHealth, type TargetHealth } from './target-health.ts'
import { keepResetsVisible } from './visible-resets.ts'

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
  /** The next healthy target in turn that was not tried yet; any untried one when none is healthy; undefined when all were tried. */
  choose(tried: readonly Target[]): Target | undefined
  /** Closes idle connections and, when all exchanges have ended, the rest. */
  close(): Promise<void>
}

const KEEP_ALIVE_MS = 4_000

export function createUpstream(options: UpstreamOptions): Upstream {
  const targets = options.targets.map((target) => openTarget(target, options))
  let turn = 0

  return {
    name: options.name,
    tls: options.tls,
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
  const connect = buildConnector({
    timeout: options.connectMs,
    allowH2: false,
    rejectUnauthorized: options.tls.rejectUnauthorized,
    ...(target.socketPath === undefined ? {} : { socketPath: target.socketPath }),
    ...(options.tls.ca === undefined ? {} : { ca: options.tls.ca }),
    ...(options.tls.servername === undefined ? {} : { servername: options.tls.servername }),
  })
  const dispatcher = new Pool(target.origin, {
    connections: options.connections,
    pipelining: 1,
    // Ours are checked by proxy/deadlines.ts, which knows the phases and costs no timer.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Shorter than the keep-alive of common servers (node:http closes after 5 s), so that a reused connection is seldom a dead one.
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: options.maxResponseHeaderBytes,
    connect: (connectOptions, callback) => {
      connect(connectOptions, (...result) => {
        if (result[1]) keepResetsVisible(result[1])
        callback(...result)
      })
    },
  })
  const health = createTargetHealth(dispatcher, options.health, (isHealthy) => options.onHealthChange(target.text, isHealthy))
  return { ...target, dispatcher, health }
}
