import type { Clock } from '../clock.ts'
import { clearCookieLine, setCookieLine, splitCookies, type CookieAttributes, type SplitCookies } from '../http/cookie.ts'
import type { CookieChange } from '../session/sessions.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'

/** How the session stands in a browser's cookies: in one as a signed id, or in several as itself. */
export interface SessionCookies {
  /** What no upstream may set. */
  readonly names: readonly string[]
  /** Takes ours out of a request's Cookie lines. */
  split(lines: readonly string[]): SplitCookies
  /** Whether a candidate is one of ours, and not another app's under our name. */
  isOurs(candidate: string): boolean
  /** The Set-Cookie lines for a change, given what the request had brought. */
  linesFor(change: Exclude<CookieChange, { readonly kind: 'keep' }>, presented: SplitCookies): readonly string[]
}

/** One cookie that holds the session's id, signed. */
export function createSignedCookies(cookie: CookieAttributes, signer: CookieSigner, clock: Clock): SessionCookies {
  const { name } = cookie
  return {
    names: [name],
    split: (lines) => splitCookies(lines, name),
    isOurs: (candidate) => signer.unsign(candidate) !== undefined,
    linesFor: (change) => [change.kind === 'clear' ? clearCookieLine(cookie) : setCookieLine(cookie, signer.sign(change.id), change.permanentUntil, clock())],
  }
}
