import { nearestName } from '../nearest-name.ts'
import type { RouteConfig } from '../route-schema.ts'
import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** Routes against upstreams, against each other, against the cookie. */
export function checkRoutes(config: Config, judge: Judge): void {
  config.routes.forEach((route, index) => {
    const at = `routes.${index}`
    checkUpstream(config, route, at, judge)
    checkDuplicate(config.routes, index, judge)
    checkCookieReaches(config, route, at, judge)
    checkLogin(config.routes, route, at, judge)
  })
  checkUnusedUpstreams(config, judge)
  checkSubjectIsWritable(config, judge)
}

function checkUpstream({ upstreams }: Config, route: RouteConfig, at: string, judge: Judge): void {
  const upstream = Object.hasOwn(upstreams, route.upstream) ? upstreams[route.upstream] : undefined
  if (upstream === undefined && judge.isSound('upstreams')) {
    const names = Object.keys(upstreams)
    const near = nearestName(route.upstream, names)
    judge.problem(`${at}.upstream`, `there is no such upstream; ${near ? `did you mean ${near}?` : `there are: ${names.join(', ')}`}`)
  } else if (upstream && route.mutations.signed && upstream.mutationKeys.length === 0) {
    const keys = `upstreams.${route.upstream}.mutationKeys`
    judge.problem(`${at}.mutations.signed`, `needs ${keys}, or no change this app asks for can ever be accepted`, keys, `${at}.upstream`)
  }
}

function checkDuplicate(routes: readonly RouteConfig[], index: number, judge: Judge): void {
  const route = routes[index]
  const twin = routes.slice(0, index).findIndex(({ path, host }) => path === route?.path && host === route.host)
  if (twin < 0) return
  judge.problem(
    `routes.${index}`, `serves the same host and path as routes.${twin}; it would never be chosen`,
    ...[index, twin].flatMap((one) => [`routes.${one}.path`, `routes.${one}.host`]),
  )
}

/** A cookie the browser does not send to a route, or does not take from its host, is no session there. */
function checkCookieReaches({ session: { cookie } }: Config, route: RouteConfig, at: string, judge: Judge): void {
  if (route.session === 'none') return
  const host = route.host?.replace(/:\d+$/, '')
  const domain = cookie.domain?.toLowerCase()
  if (host !== undefined && domain !== undefined && host !== domain && !host.endsWith(`.${domain}`)) {
    judge.problem(`${at}.host`, `browsers refuse a cookie for ${domain} from this host; set session: none here, or another session.cookie.domain`, 'session.cookie.domain')
  }
  if (!isUnder(cookie.path, route.path)) {
    judge.warn(`${at}.path`, `browsers send the session cookie only below session.cookie.path (${cookie.path}), which is not all of this route`, 'session.cookie.path')
  }
}

/** Whether every request target of a route at `path` is one the browser sends a cookie of `cookiePath` to (RFC 6265 section 5.1.4). */
function isUnder(cookiePath: string, path: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}

function checkLogin(routes: readonly RouteConfig[], route: RouteConfig, at: string, judge: Judge): void {
  if (!route.loginUrl?.startsWith('/')) return
  const path = new URL(route.loginUrl, 'http://localhost').pathname
  const served = routes
    .filter((other) => other.host === undefined || other.host === route.host)
    .filter((other) => other.path === path || path.startsWith(other.path.endsWith('/') ? other.path : `${other.path}/`))
    .toSorted((a, b) => Number(b.host !== undefined) - Number(a.host !== undefined) || b.path.length - a.path.length)[0]
  if (served?.session === 'require') {
    judge.problem(`${at}.loginUrl`, 'is itself behind a route with session: require, so the login page could never be reached; give it a route with session: use', 'routes')
  }
}

function checkUnusedUpstreams({ routes, upstreams }: Config, judge: Judge): void {
  for (const [name, upstream] of Object.entries(upstreams)) {
    const used = routes.filter((route) => route.upstream === name)
    if (used.length === 0) judge.warn(`upstreams.${name}`, 'no route leads here', 'routes')
    else if (upstream.mutationKeys.length > 0 && !used.some((route) => route.mutations.signed)) {
      judge.warn(`upstreams.${name}.mutationKeys`, 'no route here has mutations.signed: true, so they are never asked for', 'routes')
    }
  }
}

/** Login is a change of `rotateOn`'s paths; where no app may make one, the session id never changes at login. */
function checkSubjectIsWritable({ routes, session }: Config, judge: Judge): void {
  const logins = session.rotateOn.map((path, index) => [path, `session.rotateOn.${index}`] as const).filter(([path]) => path !== session.subject)
  const wanted = [...logins, ...(session.subject ? [[session.subject, 'session.subject'] as const] : [])]
  for (const [path, key] of wanted) {
    const isWritable = routes.some((route) => route.session !== 'none' && route.session !== 'read' && route.mutations.allow.includes('patch') &&
      route.writable.some((pattern) => covers(pattern, path)))
    if (!isWritable) judge.warn(key, `no route may write ${path}, so this never has an effect`, 'routes')
  }
}

function covers(pattern: string, path: string): boolean {
  const prefix = pattern.replace(/\.?\*$/, '')
  return prefix === '' || path === prefix || path.startsWith(`${prefix}.`) || prefix.startsWith(`${path}.`)
}
