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
  const directives = line.split(',').map((item) => item.trim()).filter((item) => item !== '')
  const names = directives.map((item) => item.toLowerCase().replace(/=.*/s, ''))
  if (names.includes('no-store') || (names.includes('private') && !names.includes('public') && !names.includes('s-maxage'))) return line
  return ['private', ...directives.filter((_, i) => !['public', 's-maxage', 'private', 'proxy-revalidate'].includes(names[i] as string))].join(', ')
}
