import type { RouteConfig } from '../route-schema.ts'
import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** What cannot be had where the records, the keys and the cookie are an app's own, and what has to be known there. */
export function checkRecordFormat(config: Config, judge: Judge): void {
  const { store, keys } = config
  if (store.kind !== 'redis' || !store.recordFormat) return
  judge.warn('store.recordFormat', 'the app overwrites sessions without comparing, also with requests that change nothing, so what a gateway has stored meanwhile is lost, and a logout can be undone; see docs/stores.md')
  if (store.cluster) judge.problem('store.cluster', 'Flask-Session does not work on a cluster; name its one Redis with store.url', 'store.recordFormat')
  if (keys.record.length > 0) judge.problem('keys.record', 'the app could not read an encrypted session; leave it out as long as store.recordFormat shares them', 'store.recordFormat')
  checkSession(config, judge)
  config.routes.forEach((route, index) => checkRoute(config, route, `routes.${index}`, judge))
}

function checkSession({ session }: Config, judge: Judge): void {
  for (const key of ['maxPerSubject', 'revocation'] as const) {
    if (session[key]) judge.problem(`session.${key}`, 'the app would go round it, and its records have no room for it; leave it out, or leave out store.recordFormat', 'store.recordFormat')
  }
  for (const key of ['idle', 'absolute'] as const) {
    if (judge.isWritten(`session.${key}`)) judge.problem(`session.${key}`, 'the app knows one lifetime, and no beginning of a session; give store.recordFormat.permanentLifetime instead', 'store.recordFormat')
  }
  if (!judge.isWritten('session.cookie.name') && session.cookie.name !== 'session') {
    judge.problem('session.cookie.name', 'must be given: the app\'s SESSION_COOKIE_NAME, which is session unless it was changed; and with it path and domain', 'store.recordFormat', 'listen', 'tls')
  }
}

function checkRoute({ session: { cookie } }: Config, route: RouteConfig, at: string, judge: Judge): void {
  if (route.migrated) judge.problem(`${at}.migrated`, 'the sessions are shared already, none is migrated; leave it out', 'store.recordFormat')
  if (route.adapter?.kind === 'flask') judge.problem(`${at}.adapter`, 'the cookie of such an app cannot be kept in a record of Flask-Session; give the route another gateway, with a store of its own', 'store.recordFormat')
  if (route.adapter?.kind === 'flask-session' && route.adapter.cookieName !== cookie.name) {
    judge.problem(`${at}.adapter.cookieName`, `must be session.cookie.name (${cookie.name}): with store.recordFormat the app and the gateway have one cookie`, 'session.cookie.name', 'store.recordFormat')
  }
  route.cookies.forEach((rule, index) => {
    if (rule.do === 'store') judge.problem(`${at}.cookies.${index}.do`, 'store has no room in a record of Flask-Session; use encrypt or pass', 'store.recordFormat')
  })
}
