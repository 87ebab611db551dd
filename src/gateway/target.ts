import { RequestInvalidError } from '../errors.ts'

/** Where a request wants to go. */
export interface RequestTarget {
  /** Origin-form, byte-exact: path and query, or `*`. */
  readonly origin: string
  /** For matching routes: the path with percent-encoded unreserved characters decoded (RFC 3986 section 6.2.2.2). */
  readonly path: string
  /** From an absolute-form target; it overrides Host (RFC 9112 section 3.2.2). */
  readonly authority: string | undefined
}

const ALLOWED = /^[\x21\x22\x24-\x5b\x5d-\x7e\x80-\xff]+$/
const ABSOLUTE = /^https?:\/\/((?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?)(\/[^]*|\?[^]*)?$/i

/**
 * Parses a request target. Refuses what two readers would read differently: fragments, backslashes, spaces, dot segments also
 * when their dots or slashes are percent-encoded. Everything else passes untouched.
 */
export function parseTarget(url: string, method: string): RequestTarget {
  if (url === '*' && method === 'OPTIONS') return { origin: '*', path: '/', authority: undefined }
  if (!ALLOWED.test(url)) throw new RequestInvalidError('the request target has a character it may not have')
  const absolute = url.startsWith('/') ? undefined : ABSOLUTE.exec(url)
  if (absolute === null) throw new RequestInvalidError('the request target is neither a path nor an http URL')
  const rest = absolute ? (absolute[2] ?? '/') : url
  const origin = rest.startsWith('?') ? `/${rest}` : rest
  const query = origin.indexOf('?')
  const rawPath = query < 0 ? origin : origin.slice(0, query)
  if (rawPath.includes('.') || rawPath.includes('%')) checkDotSegments(rawPath)
  return { origin, path: decodeUnreserved(rawPath), authority: absolute?.[1] }
}

function checkDotSegments(path: string): void {
  const decoded = path.replace(/%2e/gi, '.').split(/\/|\\|%2f|%5c/i)
  if (decoded.some((segment) => segment === '.' || segment === '..')) throw new RequestInvalidError('the path has dot segments')
}

function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path
  return path.replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : whole
  })
}
