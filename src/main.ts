import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { openAdmin } from './admin/admin.ts'
import { createSessionsApi } from './admin/sessions-api.ts'
import type { LoadedConfig } from './config/load.ts'
import { createLog, type Log } from './log.ts'
import { runPrimary } from './processes/primary.ts'
import { startReloading } from './processes/reloading.ts'
import { startServer } from './processes/server.ts'
import { runWorker } from './processes/worker.ts'
import { dieOnBugs, exitAfter, onSignals } from './processes/signals.ts'

export interface ServeOptions {
  /** Reads the configuration afresh; called at start and at every reload. */
  readonly load: () => Promise<LoadedConfig>
  readonly version: string
}

/**
 * Runs the gateway until a signal ends it. Rejects with ConfigInvalidError, or a listen error, before anything is served.
 * The composition root: the only place that knows all.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const loaded = await options.load()
  const { config, warnings } = loaded
  const log = await createLog(config.log)
  dieOnBugs(log)
  if (cluster.isWorker) return runWorker(loaded, log, options.load)
  for (const { path, message } of warnings) log.warn({ path }, message)
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  if (workers > 1) return runPrimary({ loaded, workers, log, ...options })
  await runAlone(options, loaded, log)
}

async function runAlone({ load, version }: ServeOptions, loaded: LoadedConfig, log: Log): Promise<void> {
  const { config } = loaded
  const server = await startServer(loaded, log)
  const admin = config.admin === false ? undefined : await openAdmin(config.admin, {
    readiness: server.readiness,
    metrics: async () => ({ contentType: server.metrics.registry.contentType, text: await server.metrics.registry.metrics() }),
    jwks: () => server.live.current().jwks,
    api: createSessionsApi({ address: config.admin, inventory: () => server.live.current().inventory, log }),
  }).catch(async (error: unknown) => {
    await server.stop()
    throw error
  })

  const reloading = startReloading(loaded.files, { load, apply: server.reload, onOutcome: server.metrics.reload, log })
  onSignals({
    reload: () => void reloading.reload(),
    stop: () => exitAfter(log, async () => {
      reloading.stop()
      await server.stop()
      await admin?.close()
    }),
  })
  log.info({ version, listen: config.listen, admin: config.admin, store: config.store.kind, pid: process.pid }, 'listening')
}
