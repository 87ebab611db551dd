import type { Adapter } from '../adapters/adapter.ts'
import { chainAdapters } from '../adapters/adapter.ts'
import type { OldCookies } from '../adapters/old-cookies.ts'
import type { Clock } from '../clock.ts'
import type { FlaskConfig, FlaskSessionConfig } from '../config/adapter-schema.ts'
import type { RouteConfig } from '../config/route-schema.ts'
import type { SessionConfig } from '../config/session-schema.ts'
import type { MutationRules } from '../session/mutation.ts'
import { parsePath } from '../session/paths.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'

export interface AdapterContext {
  readonly session: SessionConfig
  readonly cookies: CookieSigner
  readonly rules: MutationRules
  readonly clock: Clock
}

/** The adapter a route asks for. What it needs is loaded only then, so that a gateway without one starts no later. */
export async function buildAdapter(route: RouteConfig, context: AdapterContext): Promise<Adapter | undefined> {
  const adapters: Adapter[] = []
  if (route.adapter?.kind === 'flask') adapters.push(await flaskAdapter(route.adapter, route, context))
  return chainAdapters(adapters)
}

async function flaskAdapter(config: FlaskConfig, route: RouteConfig, context: AdapterContext): Promise<Adapter> {
  const { createFlaskAdapter } = await import('../adapters/flask/flask-adapter.ts')
  const { createItsdangerousSigner } = await import('../adapters/flask/itsdangerous.ts')
  return createFlaskAdapter({
    signer: createItsdangerousSigner({
      secrets: [config, ...config.fallbacks].map(({ secretKey }) => secretKey),
      salt: config.salt,
      keyDerivation: config.keyDerivation,
      digest: config.digest,
      legacyTimestamps: config.legacyTimestamps,
    }),
    cookie: oldCookiesOf(config, context),
    sortKeys: config.sortKeys,
    foreignTags: config.foreignTags,
    lifetimeSeconds: Math.max(1, Math.floor(config.permanentLifetime / 1_000)),
    adopts: config.adopt,
    expose: route.expose.map(parsePath),
    rules: context.rules,
    permanentByDefault: context.session.permanent,
    clock: context.clock,
  })
}

function oldCookiesOf({ cookieName, cookiePath, cookieDomain }: FlaskConfig | FlaskSessionConfig, { session, cookies }: AdapterContext): OldCookies {
  const { name, path, domain } = session.cookie
  return {
    name: cookieName, path: cookiePath, domain: cookieDomain,
    own: { name, path, domain },
    isOurs: (value) => cookies.unsign(value) !== undefined,
  }
}
