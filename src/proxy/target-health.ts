import type { Dispatcher } from 'undici'
import { request } from './undici.ts'

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

export function createTargetHealth(dispatcher: Dispatcher, options: HealthOptions, onChange: (isHealthy: boolean) => void): TargetHealth {
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
      const { statusCode, body } = await request.call(dispatcher, {
        method: 'GET', path, headersTimeout: options.timeoutMs, bodyTimeout: options.timeoutMs, signal: AbortSignal.timeout(options.timeoutMs),
      })
      await body.dump()
      if (statusCode < 400) recovered()
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
