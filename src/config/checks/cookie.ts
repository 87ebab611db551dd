import { transportOf } from '../resolve-defaults.ts'
import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

const NAME = 'session.cookie.name'
const SECURE = 'session.cookie.secure'
/** RFC 6265bis section 5.6: browsers drop a longer name and value, and ignore a longer attribute. */
const MAX_PAIR_BYTES = 4_096
const MAX_ATTRIBUTE_BYTES = 1_024

/** What browsers do with a cookie whose attributes contradict each other: they drop it, and nobody stays logged in. */
export function checkCookie(config: Config, judge: Judge): void {
  checkTransport(config, judge)
  checkNamePrefix(config, judge)
  checkAttributes(config, judge)
  checkSize(config, judge)
}

function checkTransport(config: Config, judge: Judge): void {
  const transport = transportOf(config)
  if (transport === 'tls' && !config.session.cookie.secure) {
    judge.warn(SECURE, 'the listener is HTTPS but the cookie is not Secure: any plain-HTTP page of this host can leak it', 'tls')
  }
  if (transport !== 'plain') return
  if (!config.session.cookie.secure) {
    judge.warn(SECURE, 'sessions travel in the clear: plain HTTP beyond this machine, with a cookie that is not Secure', 'listen')
    return
  }
  judge.problem(
    'listen',
    'plain HTTP beyond this machine, where browsers do not return a Secure cookie. Do one of: give `tls` a certificate; name the HTTPS proxy in front ' +
      'in `trustedProxies`; or, in a network you trust, set `session.cookie.secure: false`',
    'tls', 'trustedProxies', SECURE,
  )
}

/** RFC 6265bis sections 4.1.3 and 5.7; browsers compare the prefixes without case. */
function checkNamePrefix({ session: { cookie } }: Config, judge: Judge): void {
  const name = cookie.name.toLowerCase()
  const prefix = ['__host-http-', '__host-', '__http-', '__secure-'].find((known) => name.startsWith(known))
  if (prefix === undefined) return
  const shown = cookie.name.slice(0, prefix.length)
  if (!cookie.secure) judge.problem(NAME, `browsers refuse a ${shown} cookie that is not Secure; set secure: true or choose another name`, SECURE, 'listen')
  if (prefix.includes('http-') && !cookie.httpOnly) judge.problem(NAME, `browsers refuse a ${shown} cookie that is not HttpOnly`, 'session.cookie.httpOnly')
  if (!prefix.startsWith('__host-')) return
  if (cookie.path !== '/') judge.problem('session.cookie.path', `browsers refuse a ${shown} cookie whose path is not /; set path: / or name it __Secure-...`, NAME)
  if (cookie.domain !== undefined) judge.problem('session.cookie.domain', `browsers refuse a ${shown} cookie with a domain; leave it out or name it __Secure-...`, NAME)
}

function checkAttributes({ session: { cookie } }: Config, judge: Judge): void {
  if (cookie.secure || judge.isWritten(SECURE)) return
  if (cookie.partitioned) judge.problem('session.cookie.partitioned', 'needs a Secure cookie, and here it is not: plain HTTP on loopback', 'listen', 'tls')
  if (cookie.sameSite === 'none') judge.problem('session.cookie.sameSite', '"none" needs a Secure cookie, and here it is not: plain HTTP on loopback', 'listen', 'tls')
}

function checkSize({ session: { cookie }, keys }: Config, judge: Judge): void {
  const longestId = Math.max(...keys.cookie.map(({ id }) => id.length))
  const pair = cookie.name.length + '=s:'.length + longestId + '.'.length + 43 + '.'.length + 43
  const attributes = cookie.path.length + (cookie.domain?.length ?? 0) + '; Path=; Domain=; Max-Age=9999999999; Secure; HttpOnly; SameSite=Strict; Partitioned'.length
  if (pair + attributes > MAX_PAIR_BYTES) judge.problem('session.cookie', `the Set-Cookie line would be over ${MAX_PAIR_BYTES} bytes; shorten path, domain or name`)
  else if (cookie.path.length > MAX_ATTRIBUTE_BYTES) judge.problem('session.cookie.path', `browsers ignore a path over ${MAX_ATTRIBUTE_BYTES} bytes`)
}
