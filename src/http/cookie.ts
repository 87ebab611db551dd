import type { EpochMs } from '../session/session.ts'

/** The attributes of our cookie, the same when it is set and when it is deleted. */
export interface CookieAttributes {
  readonly name: string
  readonly domain: string | undefined
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly sameSite: 'strict' | 'lax' | 'none' | 'omit'
  readonly partitioned: boolean
}

/** What a request's Cookie lines hold of ours, and what is left for the upstream. */
export interface SplitCookies {
  /** Every value under our name, in order: several when the browser holds several, or an attacker sends them. */
  readonly candidates: readonly string[]
  /** The Cookie lines without ours, every other byte as it was; lines that held nothing else are gone. */
  readonly rest: readonly string[]
}

const NOTHING: SplitCookies = { candidates: [], rest: [] }

/** Finds and removes our cookie byte-exactly (RFC 6265 section 4.2; several lines tolerated as in 6265bis section 4.2.1). */
export function splitCookies(lines: readonly string[], name: string): SplitCookies {
  if (lines.length === 0) return NOTHING
  const candidates: string[] = []
  const rest: string[] = []
  for (const line of lines) {
    if (!line.includes(name)) {
      rest.push(line)
      continue
    }
    let left: string | undefined
    for (let start = 0, end = 0; end < line.length; start = end + 1) {
      end = pairEnd(line, start)
      const pair = line.slice(start, end)
      const value = valueOf(pair, name)
      if (value !== undefined) candidates.push(value)
      else left = left === undefined ? pair : `${left};${pair}`
    }
    if (left === undefined) continue
    const first = skipBlanks(left, 0)
    if (first < left.length) rest.push(left.slice(first))
  }
  return { candidates, rest }
}

function pairEnd(line: string, start: number): number {
  const end = line.indexOf(';', start)
  return end < 0 ? line.length : end
}

/**
 * The value of a pair under `name`; undefined when its name is another. Only blanks and tabs around name and value are skipped: a name
 * that begins with some other white space is another cookie, which browsers let any subdomain set, `__Host-` or not.
 */
function valueOf(pair: string, name: string): string | undefined {
  const start = skipBlanks(pair, 0)
  if (!pair.startsWith(name, start)) return undefined
  const equals = skipBlanks(pair, start + name.length)
  if (equals === pair.length) return ''
  return pair.charAt(equals) === '=' ? trimBlanks(pair, equals + 1) : undefined
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 0x20 || code === 0x09
}

/** Where the first character from `from` on stands that is neither blank nor tab. */
export function skipBlanks(text: string, from: number): number {
  let at = from
  while (at < text.length && isBlank(text, at)) at++
  return at
}

/** The text from `from` on without blanks and tabs at either end; `trim` would take other white space too, which is part of a name. */
export function trimBlanks(text: string, from: number): string {
  const start = skipBlanks(text, from)
  let end = text.length
  while (end > start && isBlank(text, end - 1)) end--
  return text.slice(start, end)
}

const MAX_AGE_SECONDS = 400 * 86_400

/** The Set-Cookie line for a value; with `until` it outlives the browser, for at most 400 days (RFC 6265bis section 5.5). */
export function setCookieLine(cookie: CookieAttributes, value: string, until: EpochMs | undefined, now: EpochMs): string {
  if (until === undefined) return `${cookie.name}=${value}${attributesOf(cookie)}`
  const maxAge = Math.max(0, Math.min(MAX_AGE_SECONDS, Math.ceil((until - now) / 1_000)))
  const expires = new Date(now + maxAge * 1_000).toUTCString()
  return `${cookie.name}=${value}; Expires=${expires}; Max-Age=${maxAge}${attributesOf(cookie)}`
}

/** The Set-Cookie line that deletes the cookie: same name, domain, path and flags, or browsers keep it. */
export function clearCookieLine(cookie: CookieAttributes): string {
  return `${cookie.name}=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0${attributesOf(cookie)}`
}

const SAME_SITE = { strict: '; SameSite=Strict', lax: '; SameSite=Lax', none: '; SameSite=None', omit: '' } as const

function attributesOf({ domain, path, secure, httpOnly, sameSite, partitioned }: CookieAttributes): string {
  return `${domain === undefined ? '' : `; Domain=${domain}`}; Path=${path}${secure ? '; Secure' : ''}${httpOnly ? '; HttpOnly' : ''}`
    + `${SAME_SITE[sameSite]}${partitioned ? '; Partitioned' : ''}`
}
