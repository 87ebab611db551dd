import type { LoadedConfig } from '../config/load.ts'
import type { FilesRead } from '../config/files-read.ts'
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

/** Reloads when told to, and when a file is no longer what the configuration in force was read from. */
export function startReloading(files: FilesRead, { load, apply, onOutcome, log }: ReloadOptions): Reloading {
  let stopWatching = watchConfig(files, reload)
  let isStopped = false

  async function reload(): Promise<void> {
    try {
      const next = await load()
      await apply(next)
      if (isStopped) return
      stopWatching()
      stopWatching = watchConfig(next.files, reload)
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
