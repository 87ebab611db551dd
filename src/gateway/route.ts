import type { Adapter } from '../adapters/adapter.ts'
import { RequestInvalidError, RouteNotFoundError } from '../errors.ts'
import type { TouchRule } from '../session/lifetime.ts'
import type { MutationRules } from '../session/mutation.ts'
import type { DataPath } from '../session/paths.ts'
import type { Json } from '../session/session.ts'
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
  /** With `require`: what the session must also hold. */
  readonly requireValue: { readonly path: DataPath; readonly allowed: ReadonlySet<Json | undefined> } | undefined
  /** For an app that keeps its own cookies. */
  readonly adapter: Adapter | undefined
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
  readonly websocket: { readonly origins: readonly string[]; readonly idleMs: number; readonly maxAgeMs: number; readonly recheckMs: number }
}

export interface RouteTable {
  /**
   * Throws RouteNotFoundError: 421 when no route serves the host, 404 when none serves the path. Throws RequestInvalidError when a
   * server that reads paths more loosely than we do would see the path under another route: that one's rules could be walked around.
   */
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

  function find(host: string, path: string): Route | undefined {
    const own = routesOf(host)
    return own?.find((route) => isBelow(path, route.path)) ?? anyHost.find((route) => isBelow(path, route.path))
  }

  function routesOf(host: string): readonly Route[] | undefined {
    if (byHost.size === 0) return undefined
    const name = host.toLowerCase()
    return byHost.get(name) ?? byHost.get(name.replace(/:\d+$/, ''))
  }

  return {
    match(host, path) {
      const route = find(host, path)
      if (!route) throw new RouteNotFoundError(anyHost.length > 0 || routesOf(host) ? 404 : 421)
      if (routes.length > 1 && READS_DIFFERENTLY.test(path) && find(host, looselyRead(path)) !== route) {
        throw new RequestInvalidError('the path could be taken for one of another route')
      }
      return route
    },
  }
}

/** `/app` holds `/app`, `/app/` and `/app/x`, not `/apple`. */
function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/' || path === prefix) return true
  return path.startsWith(prefix) && (prefix.endsWith('/') || path.charAt(prefix.length) === '/')
}

const READS_DIFFERENTLY = /\/\/|[;%]/

/**
 * The path as the loosest of servers reads it: visible characters decoded, even when encoded twice; `\` for `/`; without the
 * parameters of segments (`/app;v=1`, RFC 3986 section 3.3); slashes merged; dot segments, hidden until then, resolved.
 */
function looselyRead(path: string): string {
  const kept: string[] = []
  const names = decode(decode(path)).split(/[/\\]+/).map((segment) => segment.replace(/;.*/s, ''))
  for (const name of names) {
    if (name === '..') kept.pop()
    else if (name !== '.' && name !== '') kept.push(name)
  }
  return names.at(-1) === '' && kept.length > 0 ? `/${kept.join('/')}/` : `/${kept.join('/')}`
}

function decode(text: string): string {
  return text.replace(/%([2-7][0-9A-Fa-f])/g, (whole, hex: string) => (/^(?:20|7f)$/i.test(hex) ? whole : String.fromCharCode(Number.parseInt(hex, 16))))
}
