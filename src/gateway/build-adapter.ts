import { chainAdapters, type Adapter } from '../adapters/adapter.ts'
import type { CookieRule } from '../adapters/cookies/rules.ts'
import type { OldCookies } from '../adapters/old-cookies.ts'
import type { Clock } from '../clock.ts'
import type { AdapterConfig, FlaskConfig, FlaskSessionConfig, MigratedConfig } from '../config/adapter-schema.ts'
import type { RouteConfig } from '../config/route-schema.ts'
import type { SessionConfig } from '../config/session-schema.ts'
import type { MutationRules } from '../session/mutation.ts'
import { parsePath } from '../session/paths.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'

export interface AdapterContext {
  readonly session: SessionConfig
  readonly cookieKeys: readonly { readonly id: string; readonly secret: string }[]
  /** Whether a value under our own cookie's name is one of ours. */
  readonly isOurs: (value: string) => boolean
  /** Where an app outside shares the sessions (store.recordFormat). */
  readonly sharedIds: CookieSigner | undefined
  readonly rules: MutationRules
  readonly clock: Clock
}

/** How long a cookie of an unknown app is remembered as taken over. */
const ADOPTED_MS = 31 * 86_400_000

/** uuid4 or token_urlsafe. */
const UNSIGNED_SID = /^[A-Za-z0-9_-]{22,128}$/

/** The adapter a route asks for. What it needs is loaded only then, so that a gateway without one starts no later. */
export async function buildAdapter(route: RouteConfig, context: AdapterContext): Promise<Adapter | undefined> {
  const adapters: Adapter[] = []
  if (route.migrated) adapters.push(await migratedAdapter(route.migrated, context))
  if (route.adapter?.kind === 'flask') adapters.push(await flaskAdapter(route.adapter, route, context))
  const isShared = route.adapter?.kind === 'flask-session' && context.sharedIds !== undefined
  if (isShared) adapters.push(await sharedAdapter(context.session.cookie.name, context.sharedIds))
  if (route.adapter?.kind === 'flask-session' && !isShared) adapters.push(await cookieAdapter(route, context, route.adapter))
  else if (route.cookies.length > 0) adapters.push(await cookieAdapter(route, context))
  return chainAdapters(adapters)
}

async function sharedAdapter(name: string, ids: CookieSigner): Promise<Adapter> {
  const { createSharedAdapter } = await import('../adapters/flask/shared-adapter.ts')
  return createSharedAdapter(name, ids)
}

async function migratedAdapter(config: MigratedConfig, context: AdapterContext): Promise<Adapter> {
  const { createMigratedAdapter } = await import('../adapters/flask/migrated.ts')
  const { createSignedIdCodec } = await import('../adapters/flask/signed-id.ts')
  const { secretKey, by, keyPrefix } = config
  const ids = secretKey === undefined ? undefined : createSignedIdCodec({ secrets: [secretBytesOf(secretKey, config)] })
  return createMigratedAdapter({ cookie: oldCookiesOf(config, context), sidOf: (value) => ids ? ids.unsign(value) : UNSIGNED_SID.test(value) ? value : undefined, by, keyPrefix })
}

async function flaskAdapter(config: FlaskConfig, route: RouteConfig, context: AdapterContext): Promise<Adapter> {
  const { createFlaskAdapter } = await import('../adapters/flask/flask-adapter.ts')
  const { createItsdangerousSigner } = await import('../adapters/flask/itsdangerous.ts')
  return createFlaskAdapter({
    signer: createItsdangerousSigner({
      secrets: [config, ...config.fallbacks].map(({ secretKey }) => secretBytesOf(secretKey, config)),
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

/** The rules of the route; before them, with Flask-Session, the one for its id. */
async function cookieAdapter(route: RouteConfig, context: AdapterContext, flaskSession?: FlaskSessionConfig): Promise<Adapter> {
  const { createCookieAdapter } = await import('../adapters/cookies/cookie-adapter.ts')
  const { createRuleFinder, nameExactly, nameLike } = await import('../adapters/cookies/rules.ts')
  const { createCookieSealer } = await import('../adapters/cookies/seal.ts')
  const rules = route.cookies.map(({ name, pattern = '', do: action, adopt, path, domain }): CookieRule => ({
    names: name === undefined ? nameLike(pattern) : nameExactly(name),
    do: action,
    adopts: adopt ? () => true : undefined,
    lifetimeMs: ADOPTED_MS,
    leftAt: action === 'store' ? path.map((one) => ({ path: one, domain })) : undefined,
  }))
  const idRule: CookieRule[] = flaskSession
    ? [{ names: nameExactly(flaskSession.cookieName), do: 'store', adopts: await idTestOf(flaskSession), lifetimeMs: flaskSession.permanentLifetime }]
    : []
  return createCookieAdapter({
    upstream: route.upstream,
    ruleOf: createRuleFinder([...idRule, ...rules]),
    sealer: createCookieSealer(context.cookieKeys, route.upstream),
    subject: context.session.subject === undefined ? undefined : parsePath(context.session.subject),
    clock: context.clock,
    permanentByDefault: context.session.permanent,
    maySetPermanence: context.rules.allow.has('lifetime'),
    session: flaskSession && oldCookiesOf(flaskSession, context),
  })
}

/** Which ids of Flask-Session are taken over: signed ones where the app signs, else whatever can be one (uuid4 or token_urlsafe). */
async function idTestOf(config: FlaskSessionConfig): Promise<CookieRule['adopts']> {
  const { adopt, secretKey } = config
  if (!adopt) return undefined
  if (secretKey === undefined) return (value) => UNSIGNED_SID.test(value)
  const { createSignedIdCodec } = await import('../adapters/flask/signed-id.ts')
  const ids = createSignedIdCodec({ secrets: [secretBytesOf(secretKey, config)] })
  return (value) => ids.unsign(value) !== undefined
}

function secretBytesOf(secretKey: string, { secretKeyEncoding }: AdapterConfig | MigratedConfig): Buffer {
  return Buffer.from(secretKey, secretKeyEncoding === 'text' ? 'utf8' : secretKeyEncoding)
}

function oldCookiesOf({ cookieName, cookiePath, cookieDomain }: AdapterConfig | MigratedConfig, { session, isOurs }: AdapterContext): OldCookies {
  const { name, path, domain } = session.cookie
  return {
    name: cookieName, path: cookiePath, domain: cookieDomain,
    own: { name, path, domain },
    isOurs,
  }
}
