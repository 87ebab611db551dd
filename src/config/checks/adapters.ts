import { weaknessOf } from '../keys-schema.ts'
import type { RouteConfig } from '../route-schema.ts'
import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** Apps that keep their own session, against the session they get. */
export function checkAdapters(config: Config, judge: Judge): void {
  config.routes.forEach((route, index) => {
    const at = `routes.${index}`
    checkReadOnly(route, at, judge)
    checkOwnName(config, route, at, judge)
    checkOldCookies(route, at, judge)
    checkRotation(config, route, at, judge)
  })
}

function checkReadOnly(route: RouteConfig, at: string, judge: Judge): void {
  if (route.session !== 'read') return
  if (route.adapter?.kind === 'flask-session') judge.problem(`${at}.adapter`, 'needs session: use or require, since the app\'s id is stored', `${at}.session`)
  route.cookies.forEach((rule, index) => {
    if (rule.do === 'store') judge.problem(`${at}.cookies.${index}.do`, 'store needs session: use or require', `${at}.session`)
  })
}

/** With an adapter the two may have one name, since the app's value can be told from ours; in general it cannot. */
function checkOwnName({ session: { cookie } }: Config, route: RouteConfig, at: string, judge: Judge): void {
  route.cookies.forEach((rule, index) => {
    if (rule.name === cookie.name) judge.problem(`${at}.cookies.${index}.name`, 'is the name of the session cookie itself; give that one another with session.cookie.name', 'session.cookie.name', 'listen', 'tls')
  })
}

function checkOldCookies({ adapter }: RouteConfig, at: string, judge: Judge): void {
  if (adapter?.kind !== 'flask' || !adapter.adopt) return
  if ([adapter, ...adapter.fallbacks].some(({ secretKey }) => weaknessOf(secretKey) !== undefined)) {
    judge.warn(`${at}.adapter.secretKey`, 'is weak, and whoever guesses it can begin a session as anyone with a made-up old cookie; set adopt: false once visitors have moved')
  }
}

function checkRotation({ session }: Config, route: RouteConfig, at: string, judge: Judge): void {
  if (route.adapter?.kind !== 'flask' || session.rotateOn.length > 0) return
  judge.warn(`${at}.adapter`, 'the session id stays the same at login; name what the app sets there in session.rotateOn, such as [username]', 'session.rotateOn')
}
