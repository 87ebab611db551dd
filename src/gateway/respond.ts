import type { ServerResponse } from 'node:http'
import { cacheControlFor, varyByCookie } from '../http/caching.ts'
import type { ResponseHeaders } from '../http/response-headers.ts'
import { UpstreamProtocolError } from '../errors.ts'
import type { UpstreamResponse } from '../proxy/forward.ts'
import type { Committed, Opened } from '../session/sessions.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { mountResponse } from './mount.ts'

/** The header list for the client: the upstream's, then what the session adds. */
export function clientHeadersOf(gateway: Gateway, admitted: Admitted, opened: Opened, head: ResponseHeaders, committed: Committed): string[] {
  const { route } = admitted
  const fields = head.fields
  if (route.stripPrefix || route.upstreamHost !== undefined) mountResponse(fields, mountOf(admitted))
  if (head.foreignCookies > 0) gateway.metrics.foreignCookie(route.name)
  const { cookie } = committed
  if (cookie.kind !== 'keep') for (const line of gateway.cookies.linesFor(cookie, admitted.cookies)) fields.push('Set-Cookie', line)
  if (route.session === 'none') {
    for (const value of head.vary) fields.push('Vary', value)
    for (const value of head.cacheControl) fields.push('Cache-Control', value)
    fields.push(...head.targetedCacheControl)
    return fields
  }
  fields.push('Vary', varyByCookie(head.vary))
  // Made without the session because the store was away: true for this moment alone.
  const isTransient = cookie.kind !== 'keep' || opened.unavailable !== undefined
  const isShared = route.cache === 'upstream' && !isTransient
  const cacheControl = isShared ? head.cacheControl.join(', ') || undefined : cacheControlFor(head.cacheControl, isTransient, opened.loaded !== undefined)
  if (cacheControl !== undefined) fields.push('Cache-Control', cacheControl)
  if (isShared || (!isTransient && !opened.loaded)) fields.push(...head.targetedCacheControl)
  return fields
}

function mountOf({ route, view }: Admitted): Parameters<typeof mountResponse>[1] {
  const targets = route.upstream.targets.map(({ origin }) => new URL(origin).host)
  return {
    prefix: route.stripPrefix ? route.path.replace(/\/$/, '') : '',
    publicOrigin: `${view.proto}://${view.host}`,
    ownAuthorities: [view.host.toLowerCase(), ...targets],
  }
}

/** Sends the head, then streams the body. Throws UpstreamProtocolError, with nothing sent, when the head cannot be written. */
export function respond(response: ServerResponse, upstreamName: string, upstream: UpstreamResponse, fields: string[]): void {
  try {
    response.writeHead(upstream.status, upstream.reason, framedFor(upstream.status, fields))
  } catch (error) {
    throw new UpstreamProtocolError(upstreamName, 'its response head cannot be relayed', error)
  }
  upstream.pipe(response)
}

/** A 204 has no content, so no Content-Length either (RFC 9110 section 8.6). */
function framedFor(status: number, fields: string[]): string[] {
  if (status !== 204) return fields
  return fields.filter((_, i) => (fields[i - (i % 2)] as string).toLowerCase() !== 'content-length')
}
