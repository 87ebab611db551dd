import process from 'node:process'
import type { LoadedConfig } from '../config/load.ts'
import type { Log } from '../log.ts'
import { AggregatorRegistry } from '../prometheus.ts'
import { type FromPrimary, type FromWorker, isFromPrimary } from './messages.ts'
import { startServer, type Server } from './server.ts'
import { exitAfter } from './signals.ts'

/** One worker under a primary: obeys its messages, not the terminal's signals, and ends when the primary is gone. */
export async function runWorker(loaded: LoadedConfig, log: Log, load: () => Promise<LoadedConfig>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const server = await startServer(loaded, log).catch((error: unknown) => {
    process.disconnect()    // the channel to the primary would keep a process open that serves nothing
    throw error
  })
  new AggregatorRegistry()
  AggregatorRegistry.setRegistries([server.metrics.registry])
  const stop = once(() => void exitAfter(log, () => server.stop()))
  process.on('disconnect', stop)
  if (!process.connected) stop()
  process.on('message', (message: unknown) => {
    if (isFromPrimary(message)) void obey(message, { server, load, stop, log })
  })
  tell({ sessiongate: 'serving', jwks: server.live.current().jwks })
}

interface Subject {
  readonly server: Server
  readonly load: () => Promise<LoadedConfig>
  readonly stop: () => void
  readonly log: Log
}

async function obey(message: FromPrimary, { server, load, stop, log }: Subject): Promise<void> {
  switch (message.sessiongate) {
    case 'stop': return stop()
    case 'readiness': return tell({ sessiongate: 'readiness', question: message.question, ...(await server.readiness()) })
    case 'reload':
      try {
        await server.reload(await load())
        server.metrics.reload('ok')
        tell({ sessiongate: 'serving', jwks: server.live.current().jwks })
      } catch (error) {
        server.metrics.reload('failed')
        log.error({ err: error instanceof Error ? error.message : 'unknown' }, 'the new configuration was refused; the old one stays in force')
      }
  }
}

function tell(message: FromWorker): void {
  process.send?.(message)
}

function once(act: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    act()
  }
}
