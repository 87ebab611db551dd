import { splitCookies } from '../../http/cookie.ts'
import type { CookieSigner } from '../../signing/cookie-signer.ts'
import { NO_LINES, type Adapter } from '../adapter.ts'

/** Name, `=`, and the longest sid with its signature. */
const COOKIE_BYTES = 1 + 128 + 28

/**
 * An app with Flask-Session whose store the gateway shares: cookie and session are the same on both sides, so the app opens its session by
 * itself, from the cookie it knows, and the browser gets what it sets. Only an id that opened a session here reaches it: none that somebody made up.
 */
export function createSharedAdapter(name: string, ids: CookieSigner): Adapter {
  return {
    claims: (cookieName) => cookieName === name,
    findOld: () => undefined,
    cookieLinesFor({ lines }, loaded) {
      const { rest } = splitCookies(lines, name)
      return loaded ? [...rest, `${name}=${ids.sign(loaded.session.id)}`] : rest
    },
    readAnswer: (setCookies, _request, _loaded, asked) => ({ mutation: asked, setCookies, deletions: NO_LINES }),
    sizeOf: () => name.length + COOKIE_BYTES,
  }
}
