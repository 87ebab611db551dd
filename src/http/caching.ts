import { listOf } from './field-names.ts'

/** Vary with Cookie in it, so that no cache answers one visitor with another's page, also when nothing was set (CVE-2023-30861). */
export function varyByCookie(lines: readonly string[]): string {
  if (lines.length === 0) return 'Cookie'
  const line = lines.join(', ')
  const names = listOf(line)
  if (names.includes('*') || names.includes('cookie')) return line
  return line.trim() === '' ? 'Cookie' : `${line}, Cookie`
}

/**
 * Cache-Control for a response of a session route. With our Set-Cookie nothing may keep it (RFC 9111 section 7.3: Set-Cookie
 * alone does not stop a cache); made for a session, only the browser may. Undefined: no field.
 */
export function cacheControlFor(lines: readonly string[], hasSetCookie: boolean, hasSession: boolean): string | undefined {
  if (hasSetCookie) return 'no-store'
  const line = lines.length === 0 ? undefined : lines.join(', ')
  if (!hasSession) return line
  if (line === undefined) return 'private'
  if (line.replace(QUOTED, '').includes('"')) return 'no-store'      // an open quotation: who knows what a cache reads
  const directives = (line.match(MEMBER) ?? []).map((directive) => directive.trim()).filter((directive) => directive !== '')
  const names = directives.map((directive) => directive.replace(/\s*=.*/s, '').toLowerCase())
  // `private="Field"` keeps back that field alone, the page may be shared (RFC 9111 section 5.2.2.7).
  const isPrivate = directives.some((directive) => directive.toLowerCase() === 'private')
  if (names.includes('no-store') || (isPrivate && !names.some((name) => FOR_SHARED_CACHES.has(name)))) return line
  return ['private', ...directives.filter((_, i) => names[i] !== 'private' && !FOR_SHARED_CACHES.has(names[i] as string))].join(', ')
}

const QUOTED = /"(?:[^"\\]|\\.)*"/gs
/** A list's member: quoted strings in it may hold commas. */
const MEMBER = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/gs
const FOR_SHARED_CACHES: ReadonlySet<string> = new Set(['public', 's-maxage', 'proxy-revalidate'])

/** Cache-Control for some shared caches, which obey it instead (RFC 9213; nginx, Varnish, Akamai). By lower-case name. */
export function isTargetedCacheControl(name: string): boolean {
  return name.endsWith('cdn-cache-control') || TARGETED.has(name)
}

const TARGETED: ReadonlySet<string> = new Set(['surrogate-control', 'x-accel-expires', 'edge-control'])
