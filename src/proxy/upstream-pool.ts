import { createConnectionPool, type ConnectionPool } from './connection-pool.ts'
import type { TargetTls } from './target-place.ts'
import { createTargetHealth, type TargetHealth } from './target-health.ts'

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
  readonly tls: TargetTls
  readonly health: { readonly failures: number; readonly cooldownMs: number; readonly path: string | undefined; readonly intervalMs: number; readonly timeoutMs: number }
  readonly onHealthChange: (target: string, isHealthy: boolean) => void
}

export interface Target extends TargetOptions {
  readonly pool: ConnectionPool
  readonly health: TargetHealth
}

/** The servers of one app and their connections. */
export interface Upstream {
  readonly name: string
  readonly targets: readonly Target[]
  readonly tls: TargetTls
  readonly maxResponseHeaderBytes: number
  /** The next healthy target in turn that was not tried yet; any untried one when none is healthy; undefined when all were tried. */
  choose(tried: readonly Target[]): Target | undefined
  /** Closes idle connections and, when all exchanges have ended, the rest. */
  close(): Promise<void>
}

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
      await Promise.all(targets.map(({ pool }) => pool.close()))
    },
  }
}

function openTarget(target: TargetOptions, options: UpstreamOptions): Target {
  const { origin, socketPath } = target
  const { connections, connectMs, tls } = options
  const pool = createConnectionPool({ origin, socketPath, connections, connectMs, maxHeadBytes: options.maxResponseHeaderBytes, tls })
  const health = createTargetHealth(target, tls, options.health, (isHealthy) => options.onHealthChange(target.text, isHealthy))
  return { ...target, pool, health }
}
