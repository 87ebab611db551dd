export interface StoredCookie {
  readonly name: string
  readonly value: string
  readonly path: string
  /** Lower-cased attribute names to values ("" for flags), as the server sent them. */
  readonly attributes: Readonly<Record<string, string>>
  /** When it goes (ms since the epoch); undefined for a cookie that ends with the browser. */
  readonly expiresAt: number | undefined
}

/**
 * A browser's cookies for one host (RFC 6265 section 5, paths and expiry). Loopback counts as trustworthy, so `Secure` cookies
 * are sent over plain HTTP too; a test that cares looks at `attributes`.
 */
export class CookieJar {
  readonly #cookies = new Map<string, StoredCookie>()

  /** Takes one Set-Cookie line that came for `requestPath`. */
  store(line: string, requestPath = '/'): void {
    const [pair = '', ...rest] = line.split(';')
    const equals = pair.indexOf('=')
    if (equals < 1) return
    const attributes = Object.fromEntries(rest.map(parseAttribute))
    const name = pair.slice(0, equals).trim()
    const path = attributes['path']?.startsWith('/') ? attributes['path'] : defaultPath(requestPath)
    const cookie = { name, value: pair.slice(equals + 1).trim(), path, attributes, expiresAt: expiryOf(attributes) }
    const key = `${name};${path}`
    if (cookie.expiresAt !== undefined && cookie.expiresAt <= Date.now()) this.#cookies.delete(key)
    else this.#cookies.set(key, cookie)
  }

  /** Sets a cookie as if the server had, for forged and foreign ones. */
  set(name: string, value: string, path = '/'): void {
    this.#cookies.set(`${name};${path}`, { name, value, path, attributes: {}, expiresAt: undefined })
  }

  get(name: string): StoredCookie | undefined { return this.all().find((cookie) => cookie.name === name) }
  delete(name: string): void { for (const [key, cookie] of this.#cookies) if (cookie.name === name) this.#cookies.delete(key) }
  clear(): void { this.#cookies.clear() }

  /** Ends the browser: only cookies with an expiry stay. */
  closeBrowser(): void { for (const [key, cookie] of this.#cookies) if (cookie.expiresAt === undefined) this.#cookies.delete(key) }

  /** All that have not expired. */
  all(): StoredCookie[] {
    return [...this.#cookies.values()].filter(({ expiresAt }) => expiresAt === undefined || expiresAt > Date.now())
  }

  /** The Cookie field for a path, longest paths first; "" when there is none. */
  headerFor(requestPath: string): string {
    return this.all()
      .filter(({ path }) => requestPath === path || requestPath.startsWith(path.endsWith('/') ? path : `${path}/`))
      .sort((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }
}

function parseAttribute(text: string): [string, string] {
  const equals = text.indexOf('=')
  return equals < 0 ? [text.trim().toLowerCase(), ''] : [text.slice(0, equals).trim().toLowerCase(), text.slice(equals + 1).trim()]
}

/** Max-Age wins over Expires (RFC 6265 section 5.3). */
function expiryOf(attributes: Record<string, string>): number | undefined {
  const maxAge = attributes['max-age']
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Date.now() + Number(maxAge) * 1_000
  const expires = Date.parse(attributes['expires'] ?? '')
  return Number.isNaN(expires) ? undefined : expires
}

function defaultPath(requestPath: string): string {
  const slash = requestPath.lastIndexOf('/')
  return slash <= 0 ? '/' : requestPath.slice(0, slash)
}
