import type { IncomingMessage } from 'node:http'
import { SessionTooLargeError } from '../errors.ts'
import { appendForwarded } from '../proxy/forwarded.ts'
import type { Opened } from '../session/sessions.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { stripPrefix } from './mount.ts'

/** The complete header list for the upstream. Everything spoofable was removed before anything is added; ours is added last. */
export function upstreamHeadersOf(gateway: Gateway, admitted: Admitted, opened: Opened, requestId: string): string[] {
  const { method, route, headers, cookies, peer, view } = admitted
  const fields = headers.fields
  const host = route.upstreamHost ?? headers.host
  if (host !== '') fields.push('Host', host)
  if (headers.contentLength !== undefined && headers.contentLength > 0) fields.push('Content-Length', String(headers.contentLength))
  for (const line of cookies.rest) fields.push('Cookie', line)
  if (headers.maxForwards !== undefined) fields.push('Max-Forwards', method === 'OPTIONS' ? String(Number(headers.maxForwards) - 1) : headers.maxForwards)
  appendForwarded(fields, headers, peer, view, {
    via: `${admitted.version} ${gateway.via}`, strippedPrefix: route.stripPrefix ? route.path : undefined,
  })
  fields.push('X-Request-Id', requestId)
  if (route.session !== 'none') fields.push(gateway.names.assertion, assertionOf(gateway, admitted, opened))
  return fields
}

/** Signed also for "no session", so that its absence can never be forged. Never truncated: too large is an error. */
function assertionOf(gateway: Gateway, { route }: Admitted, opened: Opened): string {
  const assertion = route.assertions.sign(opened.loaded)
  gateway.metrics.assertionBytes(route.upstream.name, assertion.length)
  if (assertion.length > route.maxAssertionBytes) throw new SessionTooLargeError(assertion.length, route.maxAssertionBytes, `the assertion for upstream "${route.upstream.name}"`)
  return assertion
}

/** The target as the upstream knows it: byte-exact, without the mount prefix where the route strips it. */
export function upstreamTargetOf({ route, target }: Admitted): string {
  return route.stripPrefix && target.origin !== '*' ? stripPrefix(target.origin, route.path.replace(/\/$/, '')) : target.origin
}

/** Whether the request carries a body, by its framing. */
export function bodyOf({ headers }: Admitted, request: IncomingMessage): IncomingMessage | undefined {
  return headers.isChunked || (headers.contentLength ?? 0) > 0 ? request : undefined
}
