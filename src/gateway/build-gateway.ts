import { readFile } from 'node:fs/promises'
import type { Adapter } from '../adapters/adapter.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { MutationRefusedError, SessionTooLargeError } from '../errors.ts'
import { createTrust } from '../http/addresses.ts'
import { ownNames } from '../http/field-names.ts'
import { createRequestHeadersReader } from '../http/request-headers.ts'
import { createResponseHeadersReader } from '../http/response-headers.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { createDeadlines } from '../proxy/deadlines.ts'
import { createUpstream, type Upstream } from '../proxy/upstream-pool.ts'
import { dataTextOf } from '../session/data-text.ts'
import { isWithinLimits } from '../session/json.ts'
import { parsePath } from '../session/paths.ts'
import type { MutationRules } from '../session/mutation.ts'
import type { Json, Session } from '../session/session.ts'
import { assertionKeyOf, createAssertionSigner, jwksOf, type AssertionOptions } from '../signing/assertion.ts'
import { createKeyRing } from '../signing/keyring.ts'
import { verificationKeyOf } from '../signing/verify-jws.ts'
import type { SessionStore } from '../stores/store.ts'
import { buildAdapter } from './build-adapter.ts'
import { buildSessions } from './build-sessions.ts'
import type { Gateway } from './gateway.ts'
import { createRateLimiter } from './rate-limit.ts'
import { createRouteTable, type Route } from './route.ts'
import { sessionPartsOf } from './session-parts.ts'
import type { Tunnels } from './tunnels.ts'

export interface GatewayContext {
  /** Open and answering; shared by generations with the same store configuration. */
  readonly store: SessionStore
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly tunnels: Tunnels
}

/** Config -> one immutable generation. Rejects with ConfigInvalidError or a file system error; nothing is left open then. */
export async function buildGateway(config: Config, { store, clock, log, metrics, tunnels }: GatewayContext): Promise<Gateway> {
  const assertionOptions: AssertionOptions = {
    keys: createKeyRing(config.keys.assertion.map(({ id, alg, secret, privateKey }) => assertionKeyOf(id, alg, (alg === 'HS256' ? secret : privateKey) ?? ''))),
    issuer: config.issuer,
    lifetimeSeconds: Math.max(1, Math.round(config.assertion.lifetime / 1_000)),
    subject: config.session.subject === undefined ? undefined : parsePath(config.session.subject),
    clock,
  }
  const parts = await sessionPartsOf(config, store, clock)
  const { cookie } = config.session
  const { sessions, cookies, sharedIds } = await buildSessions(config, {
    store,
    parts,
    cookie: { ...cookie, domain: cookie.domain },
    rotateOn: config.session.rotateOn.map(parsePath),
    subject: assertionOptions.subject,
    clock,
    events: {
      conflict: metrics.conflict,
      ambiguousCookies: metrics.ambiguousCookies,
      touchFailed(error) {
        metrics.touchFailed()
        log.warn({ err: error instanceof Error ? error.message : 'unknown' }, 'an expiry could not be moved')
      },
    },
  })
  const upstreams = await openUpstreams(config, metrics, log)
  const { maxBytes, maxDepth, maxMembers } = config.session
  const routes = await Promise.all(config.routes.map(async (route) => {
    const rules = { allow: new Set(route.mutations.allow), writable: route.writable.map(parsePath), limits: { maxBytes, maxDepth, maxMembers } }
    const adapter = await buildAdapter(route, { session: config.session, cookieKeys: config.keys.cookie, isOurs: cookies.isOurs, sharedIds, rules, clock })
    return routeOf(config, route, upstreams, { assertions: assertionOptions, rules, adapter })
  }))
  const names = ownNames(config.headerPrefix)
  const deadlines = createDeadlines()

  return {
    routes: createRouteTable(routes),
    upstreams: [...upstreams.values()],
    sessions,
    store,
    inventory: parts.inventory,
    checkStorable: storableCheckOf(config.session, routes),
    cookies,
    names,
    issuer: config.issuer,
    readRequestHeaders: createRequestHeadersReader(names),
    readResponseHeaders: createResponseHeadersReader(names, ...cookies.names),
    isTrusted: createTrust(config.trustedProxies),
    via: config.via,
    limits: {
      maxHeaderCount: config.limits.maxHeaderCount,
      maxTargetBytes: config.limits.maxTargetBytes,
      bodyIdleMs: config.limits.bodyIdleTimeout,
      minBodyRate: config.limits.minBodyRate,
      responseIdleMs: config.limits.responseIdleTimeout,
    },
    rateLimiter: config.limits.requestsPerSecond > 0 ? createRateLimiter(config.limits.requestsPerSecond) : undefined,
    deadlines,
    jwks: jwksOf(assertionOptions.keys),
    clock,
    log,
    logRequests: config.log.requests,
    metrics,
    tunnels,
    close: async () => {
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()))
    },
  }
}

async function openUpstreams(config: Config, metrics: Metrics, log: Log): Promise<Map<string, Upstream>> {
  const upstreams = new Map<string, Upstream>()
  for (const [name, options] of Object.entries(config.upstreams)) {
    const { caFile, servername, rejectUnauthorized = true } = options.tls ?? {}
    for (const target of options.targets) metrics.targetHealthy(name, target.text, true)
    upstreams.set(name, createUpstream({
      name,
      targets: options.targets,
      connections: options.connections,
      connectMs: options.timeouts.connect,
      maxResponseHeaderBytes: 65_536,
      tls: { ca: caFile === undefined ? undefined : await readFile(caFile, 'utf8'), servername, rejectUnauthorized },
      health: { failures: options.health.failures, cooldownMs: options.health.cooldown, path: options.health.path, intervalMs: options.health.interval, timeoutMs: options.health.timeout },
      onHealthChange(target, isHealthy) {
        metrics.targetHealthy(name, target, isHealthy)
        log.warn({ upstream: name, target, isHealthy }, isHealthy ? 'target is back' : 'target is out of turn')
      },
    }))
  }
  return upstreams
}

interface RouteParts {
  readonly assertions: AssertionOptions
  readonly rules: MutationRules
  readonly adapter: Adapter | undefined
}

function routeOf(config: Config, route: Config['routes'][number], upstreams: ReadonlyMap<string, Upstream>, { assertions, rules, adapter }: RouteParts): Route {
  const upstream = upstreams.get(route.upstream) as Upstream
  const upstreamConfig = config.upstreams[route.upstream] as Config['upstreams'][string]
  const timeouts = { ...upstreamConfig.timeouts, ...definedOf(route.timeouts) }
  return {
    name: `${route.host ?? '*'}${route.path}`,
    host: route.host,
    path: route.path,
    upstream,
    upstreamHost: upstreamConfig.host === 'target' ? new URL((upstreamConfig.targets[0] as { origin: string }).origin).host : undefined,
    stripPrefix: route.stripPrefix && route.path !== '/',
    session: route.session,
    loginUrl: route.loginUrl,
    requireValue: route.requireValue && { path: parsePath(route.requireValue.path), allowed: new Set(route.requireValue.in ?? [route.requireValue.equals as Json]) },
    adapter,
    assertions: createAssertionSigner(route.upstream, route.expose.map(parsePath), assertions),
    maxAssertionBytes: upstreamConfig.maxHeaderBytes,
    mutations: rules,
    mutationKeys: route.mutations.signed
      ? upstreamConfig.mutationKeys.map(({ id, alg, secret, publicKey }) => verificationKeyOf(id, alg, (alg === 'HS256' ? secret : publicKey) ?? ''))
      : undefined,
    touch: route.touch,
    onStoreError: route.onStoreError,
    onCommitFailure: route.onCommitFailure,
    persistOn: route.persistOn,
    cache: route.cache,
    timeouts: { connectMs: timeouts.connect, firstByteMs: timeouts.firstByte, idleMs: timeouts.idle, totalMs: timeouts.total },
    maxBodyBytes: route.maxBody ?? config.limits.maxBody,
    websocket: { origins: route.websocket.origins, idleMs: route.websocket.idle, maxAgeMs: route.websocket.maxAge, recheckMs: route.websocket.recheck },
  }
}

function definedOf<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** What cannot be delivered is refused when it is stored: never truncated, never discovered by the next visitor. */
function storableCheckOf({ maxBytes, maxDepth, maxMembers }: Config['session'], routes: readonly Route[]): (next: Session) => void {
  const using = routes.filter(({ session }) => session !== 'none')
  const tightest = Math.min(...using.map(({ maxAssertionBytes }) => maxAssertionBytes))
  const growth = using.some(({ adapter }) => adapter) ? 4 : 2.8
  return (next) => {
    const bytes = Buffer.byteLength(dataTextOf(next.data))
    if (bytes > maxBytes) throw new SessionTooLargeError(bytes, maxBytes, 'the session data')
    // Many patches, each within the limits, can add up.
    if (bytes > maxMembers && !isWithinLimits(next.data, { maxDepth, maxMembers })) throw new MutationRefusedError('members', `the session would hold more than ${maxMembers} members`)
    const besideBytes = next.jar ? Buffer.byteLength(JSON.stringify(next.jar)) : 0
    if (besideBytes > maxBytes) throw new SessionTooLargeError(besideBytes, maxBytes, 'what is kept beside the session data')
    // A quick bound: in base64, and with the subject, which may be most of the data, told twice; or as a cookie in escapes of ASCII.
    if ((bytes + besideBytes) * growth + 1_024 < tightest) return
    for (const { adapter, assertions, maxAssertionBytes, upstream } of using) {
      const size = adapter ? adapter.sizeOf(next) : assertions.sizeOf(next)
      if (size > maxAssertionBytes) throw new SessionTooLargeError(size, maxAssertionBytes, `the ${adapter ? 'cookie' : 'assertion'} for upstream "${upstream.name}"`)
    }
  }
}
