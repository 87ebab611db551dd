import { planFlaskGateway, planGateway, type Algorithm, type StoreConfig, type StoreKind } from './gateway-config.ts'
import type { Server, World } from './world.ts'
import type { VerifyKey } from './verify-assertion.ts'

/** What a target does with the session on each request that is measured. */
export type SessionUse = 'none' | 'read' | 'write'

/** How the application, and so the proof, sees the session: not at all, as express's plain header, as a signed assertion, as Flask's cookie. */
export type SessionView =
  | { readonly kind: 'none' }
  | { readonly kind: 'plain' }
  | { readonly kind: 'signed', readonly key: VerifyKey }
  | { readonly kind: 'flask', readonly secretKey: string }

/** One row of the benchmark. */
export interface Target {
  readonly id: string
  readonly label: string
  readonly session: SessionUse
  readonly needsRedis: boolean
  /** Whether the process between client and application is what is measured; `direct` has none. */
  readonly isProxy: boolean
  start(world: World): Promise<StartedTarget>
}

export interface StartedTarget {
  readonly server: Server
  readonly view: SessionView
}

const NO_SESSION: SessionView = { kind: 'none' }

const direct: Target = {
  id: 'direct', label: 'direct, no proxy', session: 'none', needsRedis: false, isProxy: false,
  start: async ({ upstream }) => ({ server: { ...upstream, stop: async () => {} }, view: NO_SESSION }),
}

const httpProxy: Target = {
  id: 'http-proxy', label: 'bare http-proxy 1.18.1', session: 'none', needsRedis: false, isProxy: true,
  start: async (world) => ({ server: await world.startServer('targets/http-proxy', { upstream: world.upstream.url }), view: NO_SESSION }),
}

function express(session: 'read' | 'write'): Target {
  return {
    id: `express-${session}`, label: `express stack, redis, session ${session}`, session, needsRedis: true, isProxy: true,
    start: async (world) => {
      const server = await world.startServer('targets/express-stack', { upstream: world.upstream.url, redisUrl: world.redisUrl })
      return { server, view: { kind: 'plain' } }
    },
  }
}

const withoutSession: Target = {
  id: 'gate-none', label: 'sessiongate, without session', session: 'none', needsRedis: false, isProxy: true,
  start: async (world) => {
    const { config } = planGateway(world, 'gate-none', 'none', 'memory')
    return { server: await world.startGateway('gate-none', config), view: NO_SESSION }
  },
}

/** No peer writes a line per request, so the others write none either: this row shows what ours costs. */
const withLog: Target = {
  id: 'gate-none-log', label: 'sessiongate, without session, request log', session: 'none', needsRedis: false, isProxy: true,
  start: async (world) => {
    const { config } = planGateway(world, 'gate-none-log', 'none', 'memory')
    return { server: await world.startGateway('gate-none-log', { ...config, log: { level: 'info', format: 'json', requests: true } }), view: NO_SESSION }
  },
}

function gateway(store: StoreKind | StoreConfig, session: 'read' | 'write', alg: Algorithm = 'HS256'): Target {
  const kind = typeof store === 'string' ? store : store.kind
  const id = ['gate', kind, session, ...(alg === 'HS256' ? [] : [alg.toLowerCase()])].join('-')
  return {
    id, label: `sessiongate, ${kind}, session ${session}${alg === 'HS256' ? '' : `, ${alg}`}`, session, needsRedis: store === 'redis', isProxy: true,
    start: async (world) => {
      const { config, verifyKey } = planGateway(world, id, 'use', store, alg)
      return { server: await world.startGateway(id, config), view: { kind: 'signed', key: verifyKey } }
    },
  }
}

const flask: Target = {
  id: 'gate-flask-read', label: 'sessiongate, memory, read by a Flask app', session: 'read', needsRedis: false, isProxy: true,
  start: async (world) => {
    const { config, secretKey } = planFlaskGateway(world, 'gate-flask-read')
    return { server: await world.startGateway('gate-flask-read', config), view: { kind: 'flask', secretKey } }
  },
}

/** The rows of `npm run bench`. */
export const TARGETS: readonly Target[] = [
  direct, httpProxy, express('read'), express('write'), withoutSession, withLog,
  ...(['memory', 'file', 'redis'] as const).flatMap((store) => [gateway(store, 'read'), gateway(store, 'write')]),
  flask,
]

/** Rows that are measured only when named with --only. */
export const MORE_TARGETS: readonly Target[] = (['EdDSA', 'ES256'] as const).flatMap((alg) =>
  [gateway('memory', 'read', alg), gateway('memory', 'write', alg)])

/** Reading and writing a session in a store that runs already. */
export function targetsOn(store: StoreConfig): Target[] {
  return [gateway(store, 'read'), gateway(store, 'write')]
}

/** The targets named, in the table's order; a ratio needs its baseline, so add it yourself. */
export function targetsNamed(ids: readonly string[] | undefined): Target[] {
  if (ids === undefined) return [...TARGETS]
  const all = [...TARGETS, ...MORE_TARGETS]
  const unknown = ids.filter((id) => !all.some((target) => target.id === id))
  if (unknown.length > 0) throw new Error(`no such target: ${unknown.join(', ')}; there are ${all.map(({ id }) => id).join(', ')}`)
  return all.filter(({ id }) => ids.includes(id))
}
