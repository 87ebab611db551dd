import type { CookieSigner } from '../../signing/cookie-signer.ts'
import type { SessionId } from '../../session/session.ts'
import { createSignedIdCodec } from './signed-id.ts'

/** uuid4, or token_urlsafe of 16 bytes and more. */
const SID = /^[A-Za-z0-9_-]{22,128}$/

/**
 * Cookies that hold Flask-Session's own sid, with its signature where the app has SESSION_USE_SIGNER. Without one any text that can be a
 * sid is looked up, as the app does; but an unknown one is never given a session.
 */
export function createFlaskIdSigner(secret: Buffer | undefined): CookieSigner {
  const ids = secret && createSignedIdCodec({ secrets: [secret] })
  return {
    sign: (id) => ids ? ids.sign(id) : id,
    unsign(value) {
      const sid = ids ? ids.unsign(value) : value
      return sid !== undefined && SID.test(sid) ? { id: sid as SessionId, isCurrentKey: true } : undefined
    },
  }
}
