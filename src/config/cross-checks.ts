import { checkAdapters } from './checks/adapters.ts'
import { checkCookie } from './checks/cookie.ts'
import { checkCookieStore } from './checks/cookie-store.ts'
import { checkHeaderPrefix } from './checks/header-prefix.ts'
import type { Judge } from './checks/judge.ts'
import { checkKeys } from './checks/keys.ts'
import { checkListeners } from './checks/listeners.ts'
import { checkRecordFormat } from './checks/record-format.ts'
import { checkRoutes } from './checks/routes.ts'
import { checkSessionSize } from './checks/session-size.ts'
import type { Config } from './schema.ts'

/** The rules between keys: each alone may be right and the whole still not work. */
export function crossCheck(config: Config, judge: Judge): void {
  checkListeners(config, judge)
  checkCookie(config, judge)
  checkCookieStore(config, judge)
  checkRecordFormat(config, judge)
  checkHeaderPrefix(config, judge)
  checkKeys(config, judge)
  checkRoutes(config, judge)
  checkAdapters(config, judge)
  checkSessionSize(config, judge)
  checkCombinations(config, judge)
}

function checkCombinations({ session, store, upstreams }: Config, judge: Judge): void {
  for (const key of ['maxPerSubject', 'revocation'] as const) {
    if (session[key] && session.subject === undefined) judge.problem(`session.${key}`, 'needs session.subject, or nobody knows whose session it is', 'session.subject')
  }
  if (store.kind === 'redis' && store.sentinel && store.cluster) judge.problem('store.cluster', 'a Redis is behind sentinels or a cluster, not both', 'store.sentinel')
  for (const [name, { tls, targets }] of Object.entries(upstreams)) {
    const isHttps = targets.some(({ origin }) => origin.startsWith('https:'))
    if (tls && !isHttps) judge.warn(`upstreams.${name}.tls`, 'has no effect: no target is https://', `upstreams.${name}.targets`)
    if (tls?.rejectUnauthorized === false && isHttps) judge.warn(`upstreams.${name}.tls.rejectUnauthorized`, 'whoever sits between can read and change every session')
  }
}
