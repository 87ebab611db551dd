import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { freshSecret, type World } from './world.ts'
import type { VerifyKey } from './verify-assertion.ts'

export type StoreKind = 'memory' | 'file' | 'redis'
/** The `store` of a configuration, for a server that somebody else runs. */
export type StoreConfig = Readonly<Record<string, unknown>> & { readonly kind: string }
export type Algorithm = 'HS256' | 'EdDSA' | 'ES256'

/** Where the bench's own application is mounted when `/` is a user's. */
export const SEED_MOUNT = '/__sessiongate_bench'

/** Each gateway gets a store of its own: a restarted one starts empty. */
let stores = 0

/** A gateway's configuration and the key that verifies what it signs. */
export interface GatewayPlan {
  readonly config: Readonly<Record<string, unknown>>
  readonly verifyKey: VerifyKey
}

/**
 * The configuration every measured gateway gets: one upstream, one route, defaults for everything else, except that the lines
 * per request are off (no peer writes any) and the session cookie may travel over plain HTTP.
 */
export function planGateway(world: World, name: string, session: 'none' | 'use', store: StoreKind | StoreConfig, alg: Algorithm = 'HS256'): GatewayPlan {
  const { key, verifyKey } = assertionKeyOf(alg)
  return {
    verifyKey,
    config: {
      admin: false,
      keys: { cookie: [{ id: 'c1', secret: freshSecret() }], assertion: [key] },
      session: { cookie: { name: 'session', secure: false } },
      store: typeof store === 'string' ? storeOf(world, `${name}-${++stores}`, store) : store,
      upstreams: { app: { targets: [world.upstream.url] } },
      routes: [{ path: '/', upstream: 'app', session }],
      log: { level: 'warn', requests: false },
    },
  }
}

/** A gateway that hands the session down as Flask's own signed cookie, and what signs it. */
export function planFlaskGateway(world: World, name: string): { readonly config: Readonly<Record<string, unknown>>, readonly secretKey: string } {
  const secretKey = freshSecret()
  const { config } = planGateway(world, name, 'use', 'memory')
  return { config: { ...config, routes: [{ path: '/', upstream: 'app', session: 'use', adapter: { kind: 'flask', secretKey } }] }, secretKey }
}

/** The same gateway in front of a user's own application; the bench's own is mounted aside, to make and to check sessions. */
export function planOwnGateway(world: World, name: string, session: 'none' | 'use', target: string): GatewayPlan {
  const plan = planGateway(world, name, session, 'memory')
  return {
    ...plan,
    config: {
      ...plan.config,
      upstreams: { own: { targets: [target] }, app: { targets: [world.upstream.url] } },
      routes: [
        { path: SEED_MOUNT, upstream: 'app', session, stripPrefix: true },
        { path: '/', upstream: 'own', session },
      ],
    },
  }
}

function storeOf(world: World, name: string, kind: StoreKind): Readonly<Record<string, unknown>> {
  switch (kind) {
    case 'memory': return { kind }
    case 'file': return { kind, path: join(world.directory, `store-${name}`) }
    case 'redis': return { kind, url: `${world.redisUrl}/0`, keyPrefix: `${name}:` }
  }
}

function assertionKeyOf(alg: Algorithm): { readonly key: Readonly<Record<string, string>>, readonly verifyKey: VerifyKey } {
  if (alg === 'HS256') {
    const secret = freshSecret()
    return { key: { id: 'a1', alg, secret }, verifyKey: { alg, secret } }
  }
  const { privateKey, publicKey } = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { key: { id: 'a1', alg, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }, verifyKey: { alg, publicKey } }
}
