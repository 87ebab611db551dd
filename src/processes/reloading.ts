import type { LoadedConfig } from '../config/load.ts'
import { watchConfig } from '../config/watch.ts'
import type { Log } from '../log.ts'

export interface ReloadOptions {
  readonly load: () => Promise<LoadedConfig>
  /** Puts a valid configuration in force. */
  readonly apply: (next: LoadedConfig) => Promise<void> | void
  readonly onOutcome?: (outcome: 'ok' | 'failed') => void
  readonly log: Log
}

export interface Reloading {
  /** Reads the configuration again. Never rejects: a bad one changes nothing, and the log says why. */
  reload(): Promise<void>
  stop(): void
}

/** Reloads when told to, and when a file changes that the configuration in force was read from. */
export function startReloading(files: readonly string[], { load, apply, onOutcome, log }: ReloadOptions): Reloading {
  let stopWatching = watchConfig(files, reload)
  let isStopped = false

  async function reload(): Promise<void> {
    try {
      const next = await load()
      await apply(next)
      if (isStopped) return
      stopWatching()
      await new Promise<void>((onReady) => { stopWatching = watchConfig(next.files, reload, { onReady }) })
      onOutcome?.('ok')
      log.info('configuration reloaded')
    } catch (error) {
      onOutcome?.('failed')
      log.error({ err: error instanceof Error ? error.message : 'unknown' }, 'the new configuration was refused; the old one stays in force')
    }
  }

  return {
    reload,
    stop() {
      isStopped = true
      stopWatching()
    },
  }
}
