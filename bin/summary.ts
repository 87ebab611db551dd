import { addressText, redactedUrl } from '../src/config/effective.ts'
import { sealedDataBytes } from '../src/config/checks/cookie-store.ts'
import { deliverableBytes } from '../src/config/checks/session-size.ts'
import type { RouteConfig } from '../src/config/route-schema.ts'
import type { Config } from '../src/config/schema.ts'
import type { StoreConfig } from '../src/config/store-schema.ts'
import { durationText, sizeText } from '../src/config/units.ts'
import { problemText, type ConfigProblem } from '../src/errors.ts'
import { textTable } from './text-table.ts'

/** What a valid configuration would run, for a person. Shows no secret. */
export function summaryOf(config: Config, warnings: readonly ConfigProblem[], origin: string): string {
  const facts = [
    ['listens on', config.listen.map((address) => listenerText(config, address)).join(', ')],
    ['admin', config.admin === false ? 'off' : addressText(config.admin)],
    ['workers', String(config.workers)],
    ['store', storeText(config.store)],
    ['cookie', cookieText(config)],
    ['lifetime', lifetimeText(config)],
    ['keys', keysText(config)],
  ]
  return [
    `The configuration from ${origin} is valid.\n\n`, textTable(facts),
    '\nRoutes\n', textTable([['HOST', 'PATH', 'UPSTREAM', 'SESSION', 'NOTES'], ...config.routes.map(routeRow)]),
    '\nUpstreams\n', textTable([['NAME', 'TARGETS', 'SESSION DATA'], ...upstreamRows(config)]),
    warnings.length === 0 ? '' : `\nWarnings\n${warnings.map((warning) => `  ${problemText(warning)}\n`).join('')}`,
  ].join('')
}

function listenerText({ tls }: Config, address: Config['listen'][number]): string {
  return address.kind === 'unix' ? addressText(address) : `${tls ? 'https' : 'http'}://${addressText(address)}`
}

function storeText(store: StoreConfig): string {
  switch (store.kind) {
    case 'memory': return 'memory (lost on restart)'
    case 'file': case 'sqlite': return `${store.kind} in ${store.path}`
    case 'redis': return `redis ${redisText(store)}${store.recordFormat ? `, shared with a ${store.recordFormat.kind} app` : ''}`
    case 'memcached': return `memcached at ${store.servers.join(', ')}`
    case 'mongodb': case 'postgres': case 'mysql': return `${store.kind} at ${redactedUrl(store.url)}`
    case 'cookie': return 'cookie: in the browser, the last writer wins'
    case 'custom': return `custom, ${store.module}`
  }
}

function redisText({ sentinel, cluster, url }: Extract<StoreConfig, { readonly kind: 'redis' }>): string {
  if (sentinel) return `of master ${sentinel.name}, by sentinels ${sentinel.nodes.join(', ')}`
  return cluster ? `cluster at ${cluster.join(', ')}` : `at ${redactedUrl(url)}`
}

function lifetimeText({ session, store }: Config): string {
  const shared = store.kind === 'redis' ? store.recordFormat : undefined
  return shared ? `the app's: ${durationText(shared.permanentLifetime)} after the last use` : `idle ${durationText(session.idle)}, absolute ${durationText(session.absolute)}`
}

function cookieText({ session: { cookie, permanent } }: Config): string {
  const sameSite = cookie.sameSite === 'omit' ? '' : `SameSite=${cookie.sameSite}`
  const parts = [cookie.name, `Path=${cookie.path}`, cookie.domain && `Domain=${cookie.domain}`, cookie.secure && 'Secure', cookie.httpOnly && 'HttpOnly', sameSite, cookie.partitioned && 'Partitioned']
  return `${parts.filter(Boolean).join('; ')}; ${permanent ? 'outlives the browser' : 'ends with the browser'}`
}

function keysText({ keys, store }: Config): string {
  const ids = (ring: readonly { readonly id: string }[]): string => ring.map(({ id }) => id).join(', ')
  const assertion = keys.assertion.map(({ id, alg }) => `${id} (${alg})`).join(', ')
  if (store.kind === 'cookie') return `cookie ${ids(keys.cookie)}, which also seal the sessions; assertion ${assertion}`
  return `cookie ${ids(keys.cookie)}; assertion ${assertion}; records ${keys.record.length === 0 ? 'not encrypted' : `encrypted with ${ids(keys.record)}`}`
}

function routeRow(route: RouteConfig): string[] {
  const notes = [
    route.stripPrefix && 'prefix stripped',
    route.loginUrl && `login at ${route.loginUrl}`,
    !route.expose.includes('*') && route.session !== 'none' && `sees ${route.expose.join(', ')}`,
    route.session !== 'none' && route.session !== 'read' && !route.writable.includes('*') && `may write ${route.writable.join(', ') || 'nothing'}`,
    route.mutations.signed && 'signed changes only',
    route.onStoreError === 'anonymous' && 'anonymous when the store is down',
  ]
  return [route.host ?? '*', route.path, route.upstream, route.session, notes.filter(Boolean).join('; ')]
}

function upstreamRows({ upstreams, session, store }: Config): string[][] {
  const kept = store.kind === 'cookie' ? Math.min(session.maxBytes, sealedDataBytes(session.cookie)) : session.maxBytes
  return Object.entries(upstreams).map(([name, upstream]) => {
    const fits = Math.min(kept, deliverableBytes(upstream))
    return [name, upstream.targets.map(({ text }) => text).join(', '), `up to about ${fits >= 1_024 ? `${(fits / 1_024).toFixed(1)}KB` : sizeText(fits)}`]
  })
}
