import type { Dispatcher } from 'undici'

export interface HealthOptions {
  readonly failures: number
  readonly cooldownMs: number
  /** Probed when set. */
  readonly path: string | undefined
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** Whether a target takes part: out after some failed connections in a row, back after the cool-down or a good probe. */
export interface TargetHealth {
  isHealthy(): boolean
  succeeded(): void
  failed(): void
  stop(): void
}

export function createTargetHealth(dispatcher: Dispatcher, options: HealthOptions, onChange: (isHealthy: boolean) => void): TargetHealth {
  let failuresInARow = 0
  let outUntil = 0

  function succeeded(): void {
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
      const { statusCode, body } = await dispatcher.request({
        method: 'GET', path, headersTimeout: options.timeoutMs, bodyTimeout: options.timeoutMs, signal: AbortSignal.timeout(options.timeoutMs),
      })
      await body.dump()
      if (statusCode < 400) succeeded()
      else failed()
    } catch {
      failed()
    }
  }

  const { path } = options
  const timer = path === undefined ? undefined : setInterval(() => void probe(path), options.intervalMs).unref()
  return {
    isHealthy: () => failuresInARow < options.failures || (path === undefined && performance.now() >= outUntil),
    succeeded,
    failed,
    stop: () => clearInterval(timer),
  }
}
