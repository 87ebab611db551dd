import cluster, { type Worker } from 'node:cluster'
import { openAdmin, type Admin, type Readiness } from '../admin/admin.ts'
import { createSessionsApi } from '../admin/sessions-api.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Log } from '../log.ts'
import { AggregatorRegistry } from '../prometheus.ts'
import { isFromWorker, type FromPrimary } from './messages.ts'
import { openPrimaryInventory } from './primary-inventory.ts'
import { startReloading } from './reloading.ts'
import { exitAfter, onSignals } from './signals.ts'

export interface PrimaryOptions {
  readonly loaded: LoadedConfig
  readonly workers: number
  readonly log: Log
  readonly load: () => Promise<LoadedConfig>
  readonly version: string
}

const READINESS_MS = 2_000
const RESTART_DELAY_MS = 500

/**
 * Starts the workers, starts crashed ones again, answers the admin listener for all of them, passes stop and reload on. Rejects, and
 * leaves nothing running, when one of them or the admin listener cannot start.
 */
export async function runPrimary({ loaded, workers, log, load, version }: PrimaryOptions): Promise<void> {
  const { config } = loaded
  let hasStarted = false
  let isStopping = false
  let jwks: object = { keys: [] }
  const aggregator = new AggregatorRegistry()

  function startWorker(): Promise<void> {
    const worker = cluster.fork()
    return new Promise((resolve, reject) => {
      worker.on('message', (message: unknown) => {
        if (!isFromWorker(message) || message.sessiongate !== 'serving') return
        jwks = message.jwks
        resolve()
      })
      worker.once('exit', (code, signal) => {
        reject(new Error(`worker ${worker.process.pid} ended with ${signal ?? code} before it served`))
        if (hasStarted && !isStopping) onCrash(worker, signal ?? code)
      })
    })
  }

  function onCrash(worker: Worker, cause: string | number): void {
    log.error({ worker: worker.process.pid, cause }, 'a worker ended; starting another')
    setTimeout(() => {
      if (!isStopping) startWorker().catch(() => undefined)
    }, RESTART_DELAY_MS)
  }

  const inventory = config.admin === false ? undefined : await openPrimaryInventory(config, log)
  const admin = await startAll().catch(async (error: unknown) => {
    // What has only just started is killed: a worker takes SIGTERM for its terminal's, and obeys no message yet.
    for (const worker of liveWorkers()) worker.process.kill('SIGKILL')
    await inventory?.close()
    throw error
  })
  hasStarted = true

  async function startAll(): Promise<Admin | undefined> {
    await Promise.all(Array.from({ length: workers }, startWorker))
    if (config.admin === false || !inventory) return undefined
    return openAdmin(config.admin, {
      readiness: () => askAll(),
      metrics: async () => ({ contentType: aggregator.contentType, text: await aggregator.clusterMetrics() }),
      jwks: () => jwks,
      api: createSessionsApi({ address: config.admin, inventory: inventory.current, log }),
    })
  }

  async function apply(next: LoadedConfig): Promise<void> {
    await inventory?.use(next.config)
    tellAll({ sessiongate: 'reload' })
  }
  const reloading = startReloading(loaded.files, { load, apply, log })
  onSignals({
    reload: () => void reloading.reload(),
    stop: () => exitAfter(log, async () => {
      isStopping = true
      reloading.stop()
      const ended = liveWorkers().map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
      tellAll({ sessiongate: 'stop' })
      await Promise.all(ended)
      await admin?.close()
      await inventory?.close()
    }),
  })
  log.info({ version, listen: config.listen, admin: config.admin, store: config.store.kind, workers, pid: process.pid }, 'listening')
}

function liveWorkers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}

function tellAll(message: FromPrimary): void {
  for (const worker of liveWorkers()) worker.send(message)
}

let questions = 0

/** Ready when every worker is; a worker that does not answer in time is a cause. */
async function askAll(): Promise<Readiness> {
  const answers = await Promise.all(liveWorkers().map(ask))
  const causes = [...new Set(answers.flatMap(({ causes }) => causes))]
  if (answers.length === 0) causes.push('no worker is running')
  return { isReady: causes.length === 0, causes }
}

function ask(worker: Worker): Promise<Readiness> {
  const question = ++questions
  return new Promise((resolve) => {
    const settle = (readiness: Readiness): void => {
      clearTimeout(timer)
      worker.off('message', onMessage)
      resolve(readiness)
    }
    const onMessage = (message: unknown): void => {
      if (isFromWorker(message) && message.sessiongate === 'readiness' && message.question === question) settle(message)
    }
    const timer = setTimeout(() => settle({ isReady: false, causes: [`worker ${worker.process.pid} does not answer`] }), READINESS_MS)
    worker.on('message', onMessage)
    worker.send({ sessiongate: 'readiness', question } satisfies FromPrimary)
  })
}
