import { createDistribution, createTally, type Distribution, type Tally } from './metric-series.ts'
import { Counter, Gauge, Registry } from './prometheus.ts'

export type StoreOperation = 'load' | 'create' | 'replace' | 'touch' | 'destroy' | 'ping'

/** Everything /metrics shows. One instance per process; no globals. */
export interface Metrics {
  readonly registry: Registry
  request(route: string, status: number, seconds: number): void
  phase(name: 'open' | 'upstream' | 'commit', seconds: number): void
  storeCall(operation: string, outcome: string, seconds: number): void
  storeEvicted(count: number): void
  conflict(): void
  ambiguousCookies(): void
  touchFailed(): void
  commit(outcome: string): void
  mutationRefused(reason: string): void
  mutationLost(route: string): void
  mutationDropped(): void
  foreignCookie(route: string): void
  assertionBytes(upstream: string, bytes: number): void
  error(code: string): void
  /** How many are open now. */
  webSockets(open: number): void
  targetHealthy(upstream: string, target: string, isHealthy: boolean): void
  reload(outcome: 'ok' | 'failed'): void
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export function createMetrics(activeConnections: () => number): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> => new Counter({ name: `sessiongate_${name}`, help, labelNames, registers })
  const tally = (name: string, help: string, ...labels: [string, string?]): Tally => createTally({ name: `sessiongate_${name}`, help, registry }, ...labels)
  const distribution = (name: string, help: string, label: string, bounds: readonly number[]): Distribution => createDistribution({ name: `sessiongate_${name}`, help, registry }, label, bounds)

  const requests = tally('requests_total', 'Requests answered, by route and status', 'route', 'status')
  const seconds = distribution('request_seconds', 'From request head to response end', 'route', SECONDS)
  const phases = distribution('phase_seconds', 'Latency by phase', 'phase', SECONDS)
  const storeCalls = tally('store_calls_total', 'Store calls by operation and result', 'operation', 'outcome')
  const storeSeconds = distribution('store_call_seconds', 'Store call latency', 'operation', SECONDS)
  // Each worker is told of all of them, so that of several workers the highest count is the right one.
  const evictions = new Counter({ name: 'sessiongate_store_evictions_total', help: 'Records a full backend dropped before their time, whosever they were', registers, aggregator: 'max' })
  const conflicts = counter('commit_conflicts_total', 'Compare-and-set attempts that another writer won')
  const ambiguous = counter('ambiguous_cookies_total', 'Requests that carried two different valid session cookies')
  const touches = counter('touch_failures_total', 'Expiries that could not be moved')
  const commits = tally('commits_total', 'Commits by outcome', 'outcome')
  const refused = counter('mutations_refused_total', 'Mutations refused, by reason', ['reason'])
  const lost = counter('mutations_lost_total', 'Mutations lost because the store was away and the route forwards', ['route'])
  const dropped = counter('mutations_dropped_total', 'Mutations of sessions that had ended meanwhile')
  const foreign = counter('foreign_cookies_total', 'Upstream cookies under our own name, dropped', ['route'])
  const assertion = distribution('assertion_bytes', 'Size of the session header', 'upstream', [256, 512, 1024, 2048, 4096, 8192, 16384])
  const errors = counter('errors_total', 'Errors by code', ['code'])
  const healthy = new Gauge({ name: 'sessiongate_target_healthy', help: '1 while a target takes part', labelNames: ['upstream', 'target'], registers })
  const webSockets = new Gauge({ name: 'sessiongate_websockets_open', help: 'Open WebSockets', registers })
  const reloads = counter('reloads_total', 'Configuration reloads by outcome', ['outcome'])
  new Gauge({ name: 'sessiongate_client_connections', help: 'Open client connections', registers, collect() { this.set(activeConnections()) } })
  new Gauge({ name: 'sessiongate_resident_bytes', help: 'Resident memory', registers, collect() { this.set(process.memoryUsage.rss()) } })

  return {
    registry,
    request(route, status, taken) {
      requests.add(route, status)
      seconds.observe(route, taken)
    },
    phase: phases.observe,
    storeCall(operation, outcome, taken) {
      storeCalls.add(operation, outcome)
      storeSeconds.observe(operation, taken)
    },
    storeEvicted: (count) => evictions.inc(count),
    conflict: () => conflicts.inc(),
    ambiguousCookies: () => ambiguous.inc(),
    touchFailed: () => touches.inc(),
    commit: (outcome) => commits.add(outcome),
    mutationRefused: (reason) => refused.inc({ reason }),
    mutationLost: (route) => lost.inc({ route }),
    mutationDropped: () => dropped.inc(),
    foreignCookie: (route) => foreign.inc({ route }),
    assertionBytes: assertion.observe,
    error: (code) => errors.inc({ code }),
    webSockets: (open) => webSockets.set(open),
    targetHealthy: (upstream, target, isHealthy) => healthy.set({ upstream, target }, isHealthy ? 1 : 0),
    reload: (outcome) => reloads.inc({ outcome }),
  }
}
