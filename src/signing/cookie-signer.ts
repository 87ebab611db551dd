import { sign, unsign } from 'cookie-signature'
import { createRecent } from '../recent.ts'
import type { SessionId } from '../session/session.ts'
import type { KeyRing } from './keyring.ts'

export interface CookieKey {
  readonly id: string
  readonly secret: string
}

/** What a genuine cookie says. */
export interface Unsigned {
  readonly id: SessionId
  readonly isCurrentKey: boolean
}

export interface CookieSigner {
  /** The cookie value `<key id>.<session id>.<signature>`: printable ASCII without `;`, `,`, quotes or spaces. */
  sign(id: SessionId): string
  /** The session id, or undefined for anything not signed by a key of the ring: same answer whatever is wrong. */
  unsign(value: string): Unsigned | undefined
}

const SIGNED = /^([A-Za-z0-9_-]{1,32})\.[A-Za-z0-9_-]{43}\.[A-Za-z0-9+/]{43}$/

/** Cookies remembered in each of two generations. */
const MAX_REMEMBERED = 10_000

/**
 * Signs ids with HMAC-SHA256 by `cookie-signature`, which compares in constant time. The key id picks the key: no trial. A value that
 * was found genuine is remembered whole; a forged one never is, so it finds nothing here that it could be compared with.
 */
export function createCookieSigner(keys: KeyRing<CookieKey>): CookieSigner {
  const genuine = createRecent<Unsigned>(MAX_REMEMBERED)

  function verify(value: string): Unsigned | undefined {
    const key = keys.byId(SIGNED.exec(value)?.[1] ?? '')
    if (!key) return undefined
    const signed = unsign(value, key.secret)
    if (signed === false) return undefined
    const unsigned = { id: signed.slice(key.id.length + 1) as SessionId, isCurrentKey: key === keys.current }
    genuine.set(value, unsigned, 1)
    return unsigned
  }

  return {
    sign: (id) => sign(`${keys.current.id}.${id}`, keys.current.secret),
    unsign: (value) => genuine.get(value) ?? verify(value),
  }
}
