import type { IncomingMessage } from 'node:http'
import type { AppRequest } from '../adapters/adapter.ts'
import { SessionTooLargeError } from '../errors.ts'
import { appendForwarded } from '../proxy/forwarded.ts'
import type { Opened } from '../session/sessions.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { stripPrefix } from './mount.ts'

/**
 * The header list for the upstream, complete but for Host, framing and the assertion. Everything spoofable was removed before anything is
 * added; ours is added last.
 */
export function upstreamHeadersOf(gateway: Gateway, admitted: Admitted, opened: Opened, requestId: string): string[] {
  const { method, route, headers, cookies, peer, view } = admitted
  const fields = headers.fields
  const cookieLines = route.adapter ? route.adapter.cookieLinesFor(appRequestOf(admitted), opened.loaded) : cookies.rest
  // In one line: servers join several with a comma, and a comma ends no cookie (RFC 6265 section 5.4 sends one line).
  if (cookieLines.length > 0) fields.push('Cookie', cookieLines.join('; '))
  if (headers.maxForwards !== undefined) fields.push('Max-Forwards', method === 'OPTIONS' ? String(Number(headers.maxForwards) - 1) : headers.maxForwards)
  appendForwarded(fields, headers, peer, view, {
    via: `${admitted.version} ${gateway.via}`, strippedPrefix: route.stripPrefix ? route.path : undefined,
  })
  fields.push('X-Request-Id', requestId)
  return fields
}

/**
 * The assertion; undefined where the route has none. Signed also for "no session", so that its absence can never be forged. Never
 * truncated: too large is an error; but an app behind an adapter has its session in its own cookie and does not read this, so there it is
 * left out.
 */
export function assertionFor(gateway: Gateway, { route }: Admitted, opened: Opened): string | undefined {
  if (route.session === 'none') return undefined
  const assertion = route.assertions.sign(opened.loaded)
  gateway.metrics.assertionBytes(route.upstream.name, assertion.length)
  if (assertion.length <= route.maxAssertionBytes) return assertion
  if (route.adapter) return undefined
  throw new SessionTooLargeError(assertion.length, route.maxAssertionBytes, `the assertion for upstream "${route.upstream.name}"`)
}

/** Empty where an HTTP/1.0 client sent none. */
export function upstreamHostOf({ route, headers }: Admitted): string {
  return route.upstreamHost ?? headers.host
}

/** The target as the upstream knows it: byte-exact, without the mount prefix where the route strips it. */
export function upstreamTargetOf({ route, target }: Admitted): string {
  return route.stripPrefix && target.origin !== '*' ? stripPrefix(target.origin, route.path.replace(/\/$/, '')) : target.origin
}

/** What an adapter may know of the request. */
export function appRequestOf(admitted: Admitted): AppRequest {
  const { cookies, view } = admitted
  const target = upstreamTargetOf(admitted)
  const query = target.indexOf('?')
  return {
    lines: cookies.rest,
    candidates: cookies.candidates,
    host: view.host.toLowerCase().replace(/:\d+$/, ''),
    path: query < 0 ? target : target.slice(0, query),
  }
}

/** Whether the request carries a body, by its framing. */
export function bodyOf({ headers }: Admitted, request: IncomingMessage): IncomingMessage | undefined {
  return headers.isChunked || (headers.contentLength ?? 0) > 0 ? request : undefined
}
