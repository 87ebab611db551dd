import { resolve } from 'node:path'
import { isLoopback } from './address.ts'
import { isFilePath } from './flags.ts'
import type { Config, ParsedConfig } from './schema.ts'
import type { CookieConfig } from './session-schema.ts'
import { mapTree, pathText } from './tree.ts'

/** Decides the defaults that depend on other keys and makes relative file names absolute. Pure. */
export function resolveDefaults(parsed: ParsedConfig, baseDir: string): Config {
  const { session } = parsed
  return { ...absoluteFiles(parsed, baseDir), session: { ...session, cookie: cookieOf(parsed), rotateOn: session.rotateOn ?? rotatesByDefault(session) } }
}

/** Who the user is changes at login, and a login gets an id that nobody knew before (ADR 0007). */
function rotatesByDefault({ subject }: ParsedConfig['session']): readonly string[] {
  return subject === undefined ? [] : [subject]
}

/** How a browser reaches us, as far as the configuration tells. */
export function transportOf({ tls, trustedProxies, listen }: Pick<ParsedConfig, 'tls' | 'trustedProxies' | 'listen'>): 'tls' | 'behind-proxy' | 'loopback' | 'plain' {
  if (tls) return 'tls'
  if (trustedProxies.length > 0) return 'behind-proxy'
  return listen.every(isLoopback) ? 'loopback' : 'plain'
}

/**
 * HTTPS, ours or a trusted proxy's in front of us, gets `__Host-session` with Secure. Plain HTTP on loopback, where every first try
 * begins, gets `session` without. `__Host-` allows neither a domain nor another path (RFC 6265bis section 4.1.3.2).
 */
function cookieOf(parsed: ParsedConfig): CookieConfig {
  const { cookie } = parsed.session
  const secure = cookie.secure ?? transportOf(parsed) !== 'loopback'
  const bound = cookie.path === '/' && cookie.domain === undefined
  return { ...cookie, secure, name: cookie.name ?? (secure ? (bound ? '__Host-session' : '__Secure-session') : 'session') }
}

function absoluteFiles(parsed: ParsedConfig, baseDir: string): ParsedConfig {
  return mapTree(parsed, (value, path) => {
    return typeof value === 'string' && isFilePath(pathText(path), value) ? resolve(baseDir, value) : value
  }) as ParsedConfig
}
