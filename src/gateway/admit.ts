import type { IncomingMessage } from 'node:http'
import { BodyTooLargeError, HeadersTooLargeError, RateLimitedError, RequestInvalidError, TargetTooLongError } from '../errors.ts'
import type { SplitCookies } from '../http/cookie.ts'
import type { RequestHeaders } from '../http/request-headers.ts'
import { checkLoop, publicViewOf, type Peer, type PublicView } from '../proxy/forwarded.ts'
import type { Gateway } from './gateway.ts'
import type { Route } from './route.ts'
import { parseTarget, type RequestTarget } from './target.ts'

/** A request that may go on: read once, routed once. */
export interface Admitted {
  readonly method: string
  /** The HTTP version it came in: `1.1` or `1.0`. */
  readonly version: string
  readonly route: Route
  readonly target: RequestTarget
  readonly headers: RequestHeaders
  readonly cookies: SplitCookies
  readonly peer: Peer
  readonly view: PublicView
}

const REFUSED_METHODS: ReadonlySet<string> = new Set(['TRACE', 'TRACK', 'CONNECT'])

/** The one door for requests and upgrades alike (CVE-2026-44578). Throws a client error; nothing has touched an upstream or the store. */
export function admit(gateway: Gateway, request: IncomingMessage, peer: Peer): Admitted {
  const { limits } = gateway
  const { method = '', url = '', httpVersion: version, rawHeaders } = request
  if (request.httpVersionMajor !== 1) throw new RequestInvalidError('only HTTP/1.0 and HTTP/1.1 are spoken here', 505)
  if (rawHeaders.length / 2 > limits.maxHeaderCount) throw new HeadersTooLargeError(`more than ${limits.maxHeaderCount} header fields`)
  if (url.length > limits.maxTargetBytes) throw new TargetTooLongError(limits.maxTargetBytes)
  if (REFUSED_METHODS.has(method)) throw new RequestInvalidError(`${method} is not served here`, 405)

  const headers = hostChecked(gateway.readRequestHeaders(rawHeaders), request)
  const target = parseTarget(url, method)
  checkLoop(headers.via, gateway.via)
  const effective = target.authority === undefined ? headers : { ...headers, host: target.authority }
  const route = gateway.routes.match(effective.host, target.path)
  const view = publicViewOf(effective, peer, gateway.isTrusted)
  if (gateway.rateLimiter && !gateway.rateLimiter.allows(view.clientAddress)) throw new RateLimitedError()
  if ((headers.contentLength ?? 0) > route.maxBodyBytes) throw new BodyTooLargeError(route.maxBodyBytes)
  const cookies = gateway.cookies.split(headers.cookies)
  return { method, version, route, target, headers: effective, cookies, peer, view }
}

function hostChecked(headers: RequestHeaders, request: IncomingMessage): RequestHeaders {
  if (headers.host === '' && request.httpVersionMinor >= 1) throw new RequestInvalidError('the Host field is missing')
  if (headers.isChunked && request.httpVersionMinor === 0) throw new RequestInvalidError('Transfer-Encoding in HTTP/1.0')
  return headers
}
