import { chunkCapacityOf, chunkNamesOf } from '../../http/cookie-chunks.ts'
import { parseRevocations } from '../../session/revocations.ts'
import type { RouteConfig } from '../route-schema.ts'
import type { Config } from '../schema.ts'
import type { CookieConfig } from '../session-schema.ts'
import { sizeText } from '../units.ts'
import type { Judge } from './judge.ts'

/** A request head with three full cookies, and as much again as other fields commonly take. */
const ROOMY_HEAD_BYTES = 3 * 4_096 + 2_048

/** Key id, nonce, tag, and what a record has beside its data, rounded up. */
const OVERHEAD_BYTES = 300

/** About how many bytes of data (JSON) the cookies hold: base64url makes 4 characters of 3 bytes. */
export function sealedDataBytes(cookie: CookieConfig): number {
  return Math.floor(chunkCapacityOf({ ...cookie, domain: cookie.domain }) * 3 / 4) - OVERHEAD_BYTES
}

/** What cannot be had where sessions are in their cookies, and what has to be known there. */
export function checkCookieStore(config: Config, judge: Judge): void {
  if (config.store.kind !== 'cookie') return
  judge.warn('store.kind', 'the sessions are in the browsers: of two changes at a time the last answer wins, and a copied cookie opens its session, also after a logout, until its lifetime or store.notBefore ends it; see docs/stores.md')
  checkSession(config, judge)
  if (config.session.subject === undefined && (parseRevocations(config.store.notBefore ?? '')?.bySubject.size ?? 0) > 0) {
    judge.problem('store.notBefore', 'a line names a user, and nobody knows whose a session is; set session.subject', 'session.subject')
  }
  checkHead(config, judge)
  config.routes.forEach((route, index) => checkRoute(config, route, `routes.${index}`, judge))
}

function checkSession({ session, keys }: Config, judge: Judge): void {
  const fits = sealedDataBytes(session.cookie)
  if (judge.isWritten('session.maxBytes') && session.maxBytes > fits) {
    judge.warn('session.maxBytes', `the cookies hold about ${fits} bytes of data; larger sessions are refused when stored`, 'store.kind')
  }
  if (session.maxPerSubject !== undefined) judge.problem('session.maxPerSubject', 'nobody can count sessions that are in their browsers; leave it out, or choose another store', 'store.kind')
  if (session.revocation) judge.problem('session.revocation', 'needs a store at the server: choose another one, or end the sessions of a user with store.notBefore', 'store.kind')
  if (keys.record.length > 0) judge.warn('keys.record', 'has no effect: the cookie store seals with keys.cookie', 'store.kind')
}

function checkHead({ limits }: Config, judge: Judge): void {
  if (limits.maxHeaderBytes >= ROOMY_HEAD_BYTES) return
  judge.warn('limits.maxHeaderBytes', `a session can take three cookies of 4KB: a request with them may be over ${sizeText(limits.maxHeaderBytes)} and get 431; allow 16KB, or lower session.maxBytes`, 'store.kind')
}

function checkRoute({ session: { cookie } }: Config, route: RouteConfig, at: string, judge: Judge): void {
  const once = 'nothing would remember that it was done, so a copied old cookie would begin a session again and again'
  if (route.migrated) judge.problem(`${at}.migrated`, 'the cookie store holds no migrated sessions; choose another store', 'store.kind')
  if (route.adapter?.adopt) judge.problem(`${at}.adapter.adopt`, `${once}; set adopt: false, or choose another store`, 'store.kind')
  if (judge.isWritten(`${at}.websocket.recheck`)) {
    judge.warn(`${at}.websocket.recheck`, 'sees only the end of the absolute lifetime and store.notBefore: that a session idled out, or ended in another process, is known to its browser alone; websocket.maxAge bounds it', 'store.kind')
  }
  const own: readonly string[] = chunkNamesOf(cookie.name)
  route.cookies.forEach((rule, index) => {
    if (rule.adopt) judge.problem(`${at}.cookies.${index}.adopt`, `${once}; leave it out, or choose another store`, 'store.kind')
    if (rule.name !== undefined && rule.name !== cookie.name && own.includes(rule.name)) {
      judge.problem(`${at}.cookies.${index}.name`, 'is one of the names of the session cookie itself; give that one another with session.cookie.name', 'session.cookie.name', 'store.kind')
    }
  })
}
