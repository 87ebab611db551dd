import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { CookieAttributes } from '../http/cookie.ts'
import type { DataPath } from '../session/paths.ts'
import { createSessions, type SessionEvents, type Sessions } from '../session/sessions.ts'
import { createCookieSigner, type CookieSigner } from '../signing/cookie-signer.ts'
import { createKeyRing } from '../signing/keyring.ts'
import type { SessionStore } from '../stores/store.ts'
import { createSignedCookies, type SessionCookies } from './session-cookies.ts'
import type { SessionParts } from './session-parts.ts'

export interface SessionsContext {
  readonly store: SessionStore
  readonly parts: SessionParts
  readonly cookie: CookieAttributes
  readonly rotateOn: readonly DataPath[]
  /** Where the data says who the user is. */
  readonly subject: DataPath | undefined
  readonly clock: Clock
  readonly events: SessionEvents
}

export interface BuiltSessions {
  readonly sessions: Sessions
  readonly cookies: SessionCookies
  /** Where an app outside shares the sessions: its cookies, which are ours. */
  readonly sharedIds?: CookieSigner
}

/** Where sessions are decides what the cookie holds: their id, or themselves. */
export async function buildSessions(config: Config, context: SessionsContext): Promise<BuiltSessions> {
  const { parts, cookie, ...common } = context
  if (config.store.kind === 'cookie') {
    const { buildCookieSessions } = await import('./build-cookie-sessions.ts')    // loaded only then, as adapters are
    return buildCookieSessions(config, config.store, context)
  }
  const recordFormat = config.store.kind === 'redis' ? config.store.recordFormat : undefined
  const keys = createKeyRing(config.keys.cookie.map(({ id, secret }) => ({ id, secret })))
  const sharedIds = recordFormat && (await import('./build-shared-sessions.ts')).sharedIdSigner(recordFormat)
  const signer = sharedIds ?? createCookieSigner(keys)
  return {
    sessions: createSessions({ ...common, ...parts, cookies: signer, handleSecret: keys.current.secret }),
    cookies: createSignedCookies(cookie, signer, context.clock),
    ...(sharedIds && { sharedIds }),
  }
}
