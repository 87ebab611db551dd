import { createHash } from 'node:crypto'
import { splitCookies } from '../../http/cookie.ts'
import { claimOf } from '../../session/adoption.ts'
import type { EpochMs, SessionId } from '../../session/session.ts'
import { NO_LINES, type Adapter } from '../adapter.ts'
import { createOldCookies, type OldCookies } from '../old-cookies.ts'

/** What migrated sessions of Flask-Session are found by: the sid, or, where only a file name was known, the hash it is made of. */
export type MigratedBy = 'sid' | 'md5' | 'sha256'

/** The claim under which a migrated session waits. `name`: the sid, or the file's name, which is a hash of prefix and sid. */
export function flaskSessionClaim(by: MigratedBy, name: string): SessionId {
  return claimOf(`flask-session ${by} ${name}`)
}

/** Made by cachelib as `hash(prefix + sid)`. */
export function fileNameOf(by: 'md5' | 'sha256', keyPrefix: string, sid: string): string {
  return createHash(by).update(keyPrefix + sid).digest('hex')
}

export interface MigratedAdapterOptions {
  readonly cookie: OldCookies
  /** The sid in a cookie's value; undefined when it is not one of the app's. */
  readonly sidOf: (value: string) => string | undefined
  readonly by: MigratedBy
  readonly keyPrefix: string
}

const MAX_SID = 256

/**
 * For an app that kept its sessions by Flask-Session and now gets them from the gateway: a visitor who still has the old cookie gets
 * the session that was migrated for it, under a new id, and the old cookie is deleted. An unknown sid is nothing.
 */
export function createMigratedAdapter({ cookie, sidOf, by, keyPrefix }: MigratedAdapterOptions): Adapter {
  const old = createOldCookies(cookie)
  return {
    claims: () => false,
    findOld(request) {
      for (const value of old.presented(request)) {
        const sid = sidOf(value)
        if (sid === undefined || sid === '' || sid.length > MAX_SID) continue
        const claim = flaskSessionClaim(by, by === 'sid' ? sid : fileNameOf(by, keyPrefix, sid))
        return { claim, data: undefined, jar: {}, permanent: false, until: 0 as EpochMs }
      }
      return undefined
    },
    cookieLinesFor: ({ lines }) => splitCookies(lines, cookie.name).rest,
    readAnswer: (_setCookies, request, _loaded, asked) => ({ mutation: asked, setCookies: NO_LINES, deletions: old.deletions(request) }),
    sizeOf: () => 0,
  }
}
