import { Writable } from 'node:stream'
import { pino } from 'pino'
import { systemClock, type Clock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { buildGateway } from '../../src/gateway/build-gateway.ts'
import type { Gateway } from '../../src/gateway/gateway.ts'
import { createListener, type Listener } from '../../src/gateway/listener.ts'
import { createLiveGateway, type LiveGateway } from '../../src/gateway/live-gateway.ts'
import { createTunnels } from '../../src/gateway/tunnels.ts'
import { createMetrics, type Metrics } from '../../src/metrics.ts'
import { createDeadlines } from '../../src/proxy/deadlines.ts'
import type { JsonObject } from '../../src/session/session.ts'
import { verificationKeyOf, verifyJws } from '../../src/signing/verify-jws.ts'
import { createCookieSigner } from '../../src/signing/cookie-signer.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { httpClient, type HttpClient } from './http-client.ts'
import { startRawUpstream, type RawUpstream } from './raw-upstream.ts'

export const COOKIE_SECRET = 'c00kie-9f8e7d6c5b4a39281706f5e4d3c2b1a0'
export const ASSERTION_SECRET = 'assert-0a1b2c3d4e5f60718293a4b5c6d7e8f9'
/** Signs ids as the gateway of a world does. */
export const cookieSigner = createCookieSigner(createKeyRing([{ id: 'c1', secret: COOKIE_SECRET }]))

type Tree = Record<string, unknown>

export interface WorldOptions {
  /** Merged over one route `/` to the recording upstream `app`. */
  readonly routes?: readonly Tree[]
  readonly session?: Tree
  readonly limits?: Tree
  readonly upstream?: Tree
  /** Further top-level keys of the configuration. */
  readonly config?: Tree
  readonly store?: SessionStore
  readonly clock?: Clock
}

/** A whole gateway in this process, over real sockets, in front of a recording upstream. */
export interface World extends AsyncDisposable {
  readonly upstream: RawUpstream
  readonly port: number
  readonly url: string
  readonly gateway: Gateway
  readonly live: LiveGateway
  readonly listener: Listener
  readonly store: SessionStore
  readonly metrics: Metrics
  /** Parsed log lines. */
  readonly log: readonly Record<string, unknown>[]
  /** A browser-like client with its own cookie jar. */
  readonly client: HttpClient
  newClient(): HttpClient
  /** The claims of the assertion the upstream saw last; throws when it is missing, doubled or does not verify. */
  lastClaims(): JsonObject
  /** Builds another generation of this configuration with changes, and swaps it in. */
  reconfigure(changes: Tree): Promise<void>
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const upstream = await startRawUpstream()
  const store = options.store ?? createMemoryStore({ clock: options.clock ?? systemClock })
  const metrics = createMetrics(() => listener.connections())
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'trace', base: null }, new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  }))

  const tree = (changes: Tree): Tree => ({
    admin: false,
    keys: { cookie: [{ id: 'c1', secret: COOKIE_SECRET }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }] },
    store: { kind: 'memory' },
    session: { cookie: { name: 'sid', secure: false }, ...options.session },
    limits: options.limits ?? {},
    upstreams: { app: { targets: [upstream.url], ...options.upstream } },
    routes: (options.routes ?? [{}]).map((route) => ({ upstream: 'app', ...route })),
    ...options.config,
    ...changes,
  })
  const build = async (changes: Tree): Promise<Gateway> => {
    const { config } = await loadConfig({ tree: tree(changes), env: {} })
    return buildGateway(config, { store, clock: options.clock ?? systemClock, log, metrics, tunnels })
  }

  const tunnels = createTunnels({ deadlines: createDeadlines(), currentId: (id) => live.current().sessions.currentId(id) })
  const gateway = await build({})
  const live: LiveGateway = createLiveGateway(gateway)
  const { limits } = (await loadConfig({ tree: tree({}), env: {} })).config
  const listener: Listener = createListener(live, {
    tls: undefined, maxHeaderBytes: limits.maxHeaderBytes, maxConnections: limits.maxConnections,
    headersTimeoutMs: limits.headersTimeout, keepAliveMs: limits.keepAlive,
  })
  const port = await listener.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${port}`
  const clients: HttpClient[] = []
  const newClient = (): HttpClient => {
    const client = httpClient(url)
    clients.push(client)
    return client
  }

  return {
    upstream, port, url, live, listener, store, metrics, log: lines, newClient,
    get gateway() { return live.current() },
    client: newClient(),
    lastClaims() {
      const values = upstream.lastRequest.all('x-session-assertion')
      if (values.length !== 1) throw new Error(`the upstream saw ${values.length} assertions`)
      const verified = verifyJws(values[0] as string, [verificationKeyOf('a1', 'HS256', ASSERTION_SECRET)])
      if (!verified.ok) throw new Error(verified.reason)
      return verified.claims
    },
    reconfigure: async (changes) => live.swap(await build(changes), 5_000),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]()
      await listener.drain(0)
      await live.current().close()
      await store.close()
      await upstream[Symbol.asyncDispose]()
    },
  }
}
