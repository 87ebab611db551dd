import { Cookie, defaultPath, domainMatch, getPublicSuffix, pathMatch } from 'tough-cookie'
import { isJsonObject, type EpochMs, type Json, type JsonObject } from '../../session/session.ts'

/** A cookie of an app's own, as it is kept beside the session. */
export interface StoredCookie {
  readonly name: string
  readonly value: string
  /** Lower case. */
  readonly domain: string
  /** Sent to this host alone: it came without Domain. */
  readonly isHostOnly: boolean
  readonly path: string
  /** Undefined: it ends with the browser, so for us with the session. */
  readonly expiresAt: EpochMs | undefined
  readonly createdAt: EpochMs
  /** Brought along by a browser, so that where the app had set it is a guess: what the app sets under that name replaces it. */
  readonly isAdopted: boolean
}

/** Where a cookie was set, or would be sent. `host` in lower case without a port. */
export interface CookiePlace {
  readonly host: string
  readonly path: string
}

/** Both are lower case and ASCII where they can match at all; to canonicalize what an app sends as a domain can throw. */
const AS_IT_IS = false

/** RFC 6265bis section 5.5: no cookie lives longer. */
const MAX_AGE_MS = 400 * 86_400_000

/**
 * Reads a Set-Cookie line (RFC 6265bis section 5.6 and 5.7). Undefined where a browser would ignore it: no name, control characters,
 * a domain the host is not in, or one that many share. One that deletes has an expiry in the past.
 */
export function parseSetCookie(line: string, { host, path }: CookiePlace, now: EpochMs): StoredCookie | undefined {
  const cookie = Cookie.parse(line)
  if (!cookie || cookie.key === '') return undefined
  const { domain } = cookie
  if (domain !== null && domain !== host && (domainMatch(host, domain, AS_IT_IS) !== true || isShared(domain))) return undefined
  const expiry = cookie.expiryTime(new Date(now))
  return {
    name: cookie.key,
    value: cookie.value,
    domain: domain ?? host,
    isHostOnly: domain === null || (domain === host && isShared(domain)),
    path: cookie.path ?? defaultPath(path),
    expiresAt: expiry === undefined || expiry === Infinity ? undefined : Math.max(0, Math.min(expiry, now + MAX_AGE_MS)) as EpochMs,
    createdAt: now,
    isAdopted: false,
  }
}

/** A public suffix, such as `com` or `github.io`: cookies for it would reach strangers. */
function isShared(domain: string): boolean {
  return getPublicSuffix(domain, { allowSpecialUseDomain: true, ignoreError: true }) === undefined
}

export function isSentTo(cookie: StoredCookie, { host, path }: CookiePlace, now: EpochMs): boolean {
  if (cookie.expiresAt !== undefined && cookie.expiresAt <= now) return false
  const isHost = cookie.domain === host || (!cookie.isHostOnly && domainMatch(host, cookie.domain, AS_IT_IS) === true)
  return isHost && pathMatch(path, cookie.path)
}

/** Longer paths first, then the earlier ones (RFC 6265bis section 5.8.3). */
export function bySendingOrder(a: StoredCookie, b: StoredCookie): number {
  return b.path.length - a.path.length || a.createdAt - b.createdAt
}

/** The place of one app's cookies in the jar: those of one upstream are never sent to another. */
export interface JarShelf {
  read(jar: JsonObject | undefined): readonly StoredCookie[]
  nameOf(cookie: StoredCookie): string
  entryOf(cookie: StoredCookie): Json
}

/** Names in the jar: `cookie\n<upstream>\n<domain>\n<path>\n<name>`; no header value can hold a line feed. */
export function createJarShelf(upstream: string): JarShelf {
  const prefix = `cookie\n${upstream}\n`
  return {
    read(jar) {
      if (jar === undefined) return NONE
      return Object.entries(jar).filter(([name]) => name.startsWith(prefix)).flatMap(([name, entry]) => cookieOf(name.slice(prefix.length), entry) ?? [])
    },
    nameOf: ({ domain, path, name }) => `${prefix}${domain}\n${path}\n${name}`,
    entryOf: ({ value, isHostOnly, expiresAt, createdAt, isAdopted }) => ({
      v: value, c: createdAt, ...(isHostOnly ? {} : { d: true }), ...(expiresAt === undefined ? {} : { e: expiresAt }), ...(isAdopted ? { a: true } : {}),
    }),
  }
}

const NONE: readonly StoredCookie[] = []

function cookieOf(place: string, entry: Json): StoredCookie | undefined {
  const [domain, path, name] = place.split('\n')
  if (!isJsonObject(entry) || domain === undefined || path === undefined || name === undefined) return undefined
  const { v, c, d, e, a } = entry as { readonly [name: string]: Json | undefined }
  if (typeof v !== 'string' || typeof c !== 'number') return undefined
  return {
    name, value: v, domain, path, isHostOnly: d !== true, createdAt: c as EpochMs,
    expiresAt: typeof e === 'number' ? e as EpochMs : undefined, isAdopted: a === true,
  }
}
