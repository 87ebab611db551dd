import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { freshRequest } from './fresh-request.ts'
import type { TargetTls } from './target-place.ts'
import type { TargetOptions } from './upstream-pool.ts'

export interface HealthOptions {
  readonly failures: number
  readonly cooldownMs: number
  /** Probed when set. */
  readonly path: string | undefined
  readonly intervalMs: number
  readonly timeoutMs: number
}

/**
 * Whether a target takes part: out after some failed connections (or probes) in a row. Back after the cool-down; where it is
 * probed, after a good probe only, since a server that accepts connections may still answer nothing but errors.
 */
export interface TargetHealth {
  isHealthy(): boolean
  /** A request got a connection. */
  succeeded(): void
  /** A connection attempt failed. */
  failed(): void
  stop(): void
}

export function createTargetHealth(target: TargetOptions, tls: TargetTls, options: HealthOptions, onChange: (isHealthy: boolean) => void): TargetHealth {
  let failuresInARow = 0
  let outUntil = 0

  function recovered(): void {
    if (failuresInARow === 0) return
    if (failuresInARow >= options.failures) onChange(true)
    failuresInARow = 0
    outUntil = 0
  }

  function failed(): void {
    failuresInARow++
    if (failuresInARow < options.failures) return
    outUntil = performance.now() + options.cooldownMs
    if (failuresInARow === options.failures) onChange(false)
  }

  async function probe(path: string): Promise<void> {
    try {
      const outgoing = freshRequest(target, tls, { path, signal: AbortSignal.timeout(options.timeoutMs) })
      outgoing.on('error', () => undefined).end()           // one that comes after the head shows on the response
      const [response] = await once(outgoing, 'response') as [IncomingMessage]
      await once(response.resume(), 'end')
      if ((response.statusCode ?? 500) < 400) recovered()
      else failed()
    } catch {
      failed()
    }
  }

  const { path } = options
  const timer = path === undefined ? undefined : setInterval(() => void probe(path), options.intervalMs).unref()
  return {
    isHealthy: () => failuresInARow < options.failures || (path === undefined && performance.now() >= outUntil),
    succeeded: path === undefined ? recovered : () => undefined,
    failed,
    stop: () => clearInterval(timer),
  }
}
