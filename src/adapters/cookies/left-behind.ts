import { clearCookieLine } from '../../http/cookie.ts'
import { NO_LINES } from '../adapter.ts'
import { mapCookiePairs } from './request-pairs.ts'

/** Where a browser keeps a cookie: it is deleted only by exactly these (RFC 6265bis section 5.7). */
export interface BrowserPlace {
  readonly path: string
  readonly domain: string | undefined
}

/** As many as a browser keeps for one site: nobody needs a longer answer. */
const MAX_DELETIONS = 50

/** What a browser can have stored, and we can write without harm. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/**
 * The Set-Cookie lines that delete, from the browser that has sent these Cookie lines, what it still holds of cookies that are kept
 * for it now. `placesOf` tells where a cookie of that name may lie; none: it is not ours to delete.
 */
export function deletionsOf(cookieLines: readonly string[], placesOf: (cookieName: string) => readonly BrowserPlace[]): readonly string[] {
  if (cookieLines.length === 0) return NO_LINES
  let found: Set<string> | undefined
  mapCookiePairs(cookieLines, ({ name }) => {
    const places = placesOf(name)
    if (places.length > 0 && TOKEN.test(name)) {
      found ??= new Set()
      for (const { path, domain } of places) if (found.size < MAX_DELETIONS) found.add(deletionLine(name, path, domain))
    }
    return undefined
  })
  return found ? [...found] : NO_LINES
}

function deletionLine(name: string, path: string, domain: string | undefined): string {
  return clearCookieLine({ name, path, domain, secure: name.startsWith('__'), httpOnly: true, sameSite: 'omit', partitioned: false })
}
