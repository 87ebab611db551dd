import { sign, unsign } from 'cookie-signature'
import type { SessionId } from '../session/session.ts'
import type { KeyRing } from './keyring.ts'

export interface CookieKey {
  readonly id: string
  readonly secret: string
}

export interface CookieSigner {
  /** The cookie value `<key id>.<session id>.<signature>`: printable ASCII without `;`, `,`, quotes or spaces. */
  sign(id: SessionId): string
  /** The session id, or undefined for anything not signed by a key of the ring: same answer whatever is wrong. */
  unsign(value: string): { readonly id: SessionId; readonly isCurrentKey: boolean } | undefined
}

const SIGNED = /^([A-Za-z0-9_-]{1,32})\.[A-Za-z0-9_-]{43}\.[A-Za-z0-9+/]{43}$/

/** Signs ids with HMAC-SHA256 by `cookie-signature`, which compares in constant time. The key id picks the key: no trial. */
export function createCookieSigner(keys: KeyRing<CookieKey>): CookieSigner {
  return {
    sign: (id) => sign(`${keys.current.id}.${id}`, keys.current.secret),
    unsign(value) {
      const key = keys.byId(SIGNED.exec(value)?.[1] ?? '')
      if (!key) return undefined
      const signed = unsign(value, key.secret)
      if (signed === false) return undefined
      return { id: signed.slice(key.id.length + 1) as SessionId, isCurrentKey: key === keys.current }
    },
  }
}
