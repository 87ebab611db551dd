import { readFile } from 'node:fs/promises'
import type { Readiness } from '../admin/admin.ts'
import { systemClock } from '../clock.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { buildGateway } from '../gateway/build-gateway.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { createListener, type HandleRequest, type Listener, type TlsOptions } from '../gateway/listener.ts'
import { createLiveGateway, type LiveGateway } from '../gateway/live-gateway.ts'
import { createTunnels } from '../gateway/tunnels.ts'
import type { Log } from '../log.ts'
import { createMetrics, type Metrics } from '../metrics.ts'
import { createDeadlines } from '../proxy/deadlines.ts'
import { openStore } from '../stores/open-store.ts'
import type { SessionStore } from '../stores/store.ts'

/** One serving process: the whole gateway, or one worker of it. */
export interface Server {
  readonly metrics: Metrics
  readonly live: LiveGateway
  /** Builds a generation from a new configuration and swaps it in. Rejects, changing nothing, when it cannot be built. */
  reload(next: LoadedConfig): Promise<void>
  readiness(): Promise<Readiness>
  /** Stops accepting, finishes what is in flight within the drain time, closes everything. */
  stop(): Promise<void>
}

interface OpenStore {
  readonly store: SessionStore
  readonly identity: string
}

export async function startServer({ config }: LoadedConfig, log: Log, handle?: HandleRequest): Promise<Server> {
  let active = config
  let isStopping = false
  let reloading: Promise<void> = Promise.resolve()
  const listeners: Listener[] = []
  const metrics = createMetrics(() => listeners.reduce((sum, listener) => sum + listener.connections(), 0))
  let opened = await openSessionStore(config, metrics)
  await warnUnlessAnswering(opened.store, log)
  const tunnels = createTunnels({ deadlines: createDeadlines(), currentId: (id) => live.current().sessions.currentId(id) })
  const live = createLiveGateway(await build(config, opened.store))
  await openListeners()

  function build(from: Config, store: SessionStore): Promise<Gateway> {
    return buildGateway(from, { store, clock: systemClock, log, metrics, tunnels })
  }

  async function openListeners(): Promise<void> {
    const tls = await readTls(config)
    try {
      for (const address of config.listen) {
        const { maxHeaderBytes, maxConnections, headersTimeout, keepAlive } = config.limits
        const listener = createListener(live, { tls, maxHeaderBytes, maxConnections, headersTimeoutMs: headersTimeout, keepAliveMs: keepAlive }, handle)
        await listener.listen(address)
        listeners.push(listener)
      }
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener.drain(0)))
      await live.current().close()
      await opened.store.close()
      throw error
    }
  }

  async function reload({ config: next }: LoadedConfig): Promise<void> {
    const tls = await readTls(next)
    const identity = identityOf(next)
    const previous = opened
    const store = identity === previous.identity ? previous : await openSessionStore(next, metrics)
    let gateway: Gateway
    try {
      gateway = await build(next, store.store)
    } catch (error) {
      if (store !== previous) await store.store.close()
      throw error
    }
    for (const key of NEEDS_RESTART) {
      if (JSON.stringify(next[key]) !== JSON.stringify(active[key])) log.warn({ key }, 'this key needs a restart; the old value stays in force')
    }
    log.level = next.log.level
    if (tls) for (const listener of listeners) listener.setTls(tls)
    opened = store
    active = next
    const drained = live.swap(gateway, next.shutdown.drain)
    if (store !== previous) void drained.then(() => previous.store.close())
  }

  return {
    metrics,
    live,
    reload(next) {
      const turn = reloading.catch(() => undefined).then(() => reload(next))
      reloading = turn
      return turn
    },
    readiness: () => readinessOf(active, live.current(), isStopping),
    async stop() {
      isStopping = true
      tunnels.closeAll()
      await Promise.all(listeners.map((listener) => listener.drain(active.shutdown.drain)))
      await live.current().close()
      await opened.store.close()
    },
  }
}

/** Bound once, at start. */
const NEEDS_RESTART = ['listen', 'admin', 'workers'] as const

function identityOf(config: Config): string {
  return JSON.stringify(config.store)
}

async function openSessionStore(config: Config, metrics: Metrics): Promise<OpenStore> {
  const store = await openStore(config.store, {
    clock: systemClock,
    onCall: ({ operation, outcome, durationMs }) => metrics.storeCall(operation, outcome, durationMs / 1_000),
    onEvicted: metrics.storeEvicted,
  })
  return { store, identity: identityOf(config) }
}

/** A store that is away at start is not a reason to stay down: routes answer by their outage policy, and /readyz says why. */
async function warnUnlessAnswering(store: SessionStore, log: Log): Promise<void> {
  try {
    await store.ping()
  } catch (error) {
    log.error({ store: store.kind, err: error instanceof Error ? error.message : 'unknown' }, 'the session store does not answer; starting without it')
  }
}

async function readTls({ tls }: Config): Promise<TlsOptions | undefined> {
  if (!tls) return undefined
  const [cert, key] = await Promise.all([readFile(tls.certFile, 'utf8'), readFile(tls.keyFile, 'utf8')])
  return { cert, key, minVersion: tls.minVersion }
}

async function readinessOf(config: Config, gateway: Gateway, isStopping: boolean): Promise<Readiness> {
  const causes: string[] = isStopping ? ['draining: this process is about to stop'] : []
  const usesStore = config.routes.some(({ session, onStoreError }) => session !== 'none' && onStoreError === 'fail')
  if (usesStore) {
    try {
      await gateway.store.ping()
    } catch (error) {
      causes.push(`store: ${error instanceof Error ? error.message : 'does not answer'}`)
    }
  }
  for (const { name, targets } of gateway.upstreams) {
    if (!targets.some(({ health }) => health.isHealthy())) causes.push(`upstream ${name}: no healthy target`)
  }
  return { isReady: causes.length === 0, causes }
}
