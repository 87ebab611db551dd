import { RouteNotFoundError } from '../errors.ts'
import type { TouchRule } from '../session/lifetime.ts'
import type { MutationRules } from '../session/mutation.ts'
import type { AssertionSigner } from '../signing/assertion.ts'
import type { VerificationKey } from '../signing/verify-jws.ts'
import type { Timeouts } from '../proxy/forward.ts'
import type { Upstream } from '../proxy/upstream-pool.ts'

/** One route of a generation, everything resolved. */
export interface Route {
  /** `host/path`, for logs and metrics. */
  readonly name: string
  readonly host: string | undefined
  readonly path: string
  readonly upstream: Upstream
  /** Sent as Host; undefined passes the client's on. */
  readonly upstreamHost: string | undefined
  readonly stripPrefix: boolean
  readonly session: 'none' | 'read' | 'use' | 'require'
  readonly loginUrl: string | undefined
  readonly assertions: AssertionSigner
  readonly maxAssertionBytes: number
  readonly mutations: MutationRules
  /** Set: only mutations signed by one of these keys count. */
  readonly mutationKeys: readonly VerificationKey[] | undefined
  readonly touch: TouchRule
  readonly onStoreError: 'fail' | 'anonymous'
  readonly onCommitFailure: 'fail' | 'forward'
  readonly persistOn: 'always' | 'non-5xx'
  readonly cache: 'private' | 'upstream'
  readonly timeouts: Timeouts
  readonly maxBodyBytes: number
  readonly websocket: { readonly origins: readonly string[]; readonly idleMs: number; readonly maxAgeMs: number }
}

export interface RouteTable {
  /** Throws RouteNotFoundError: 421 when no route serves the host, 404 when none serves the path. */
  match(host: string, path: string): Route
}

/** By host first (exact, without port unless the route names one), then the longest path prefix at a segment boundary. */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const longestFirst = [...routes].sort((a, b) => b.path.length - a.path.length)
  const byHost = new Map<string, readonly Route[]>()
  for (const { host } of routes) {
    if (host !== undefined) byHost.set(host, longestFirst.filter((route) => route.host === host))
  }
  const anyHost = longestFirst.filter(({ host }) => host === undefined)

  return {
    match(host, path) {
      const name = host.toLowerCase()
      const own = byHost.size === 0 ? undefined : (byHost.get(name) ?? byHost.get(name.replace(/:\d+$/, '')))
      const route = own?.find((candidate) => isBelow(path, candidate.path)) ?? anyHost.find((candidate) => isBelow(path, candidate.path))
      if (route) return route
      throw new RouteNotFoundError(own || anyHost.length > 0 ? 404 : 421)
    },
  }
}

/** `/app` holds `/app`, `/app/` and `/app/x`, not `/apple`. */
function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/' || path === prefix) return true
  return path.startsWith(prefix) && (prefix.endsWith('/') || path.charAt(prefix.length) === '/')
}
