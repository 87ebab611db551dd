import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  GatewayError, HeadersTooLargeError, MutationRefusedError, RateLimitedError, RequestInvalidError, SessionRequiredError, StoreUnavailableError, TargetTooLongError,
} from '../errors.ts'
import { prefersHtml, problemOf } from '../http/problem.ts'
import { ClientGoneError, ClientStalledError } from '../proxy/forward.ts'
import type { Gateway } from './gateway.ts'
import type { Trace } from './trace.ts'

const LINGER_MS = 2_000
const RETRY_AFTER_SECONDS = '1'
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Turns a failure into the client's answer. Once a head is out nothing can be said any more: the connection is cut. */
export function refuse(gateway: Gateway, request: IncomingMessage, response: ServerResponse, trace: Trace, error: unknown): void {
  trace.error = error
  trace.exchange?.abort(error instanceof Error ? error : new Error('refused'))
  report(gateway, trace, error)
  if (error instanceof ClientGoneError || response.headersSent || response.destroyed) return void response.destroy()
  if (error instanceof ClientStalledError) return answer(request, response, { status: 408, headers: ['Content-Length', '0', 'Cache-Control', 'no-store', 'Vary', 'Cookie'], body: '' }, true)
  const location = loginLocationOf(error, request, trace)
  if (location !== undefined) return answer(request, response, { status: 302, headers: ['Location', location, 'Content-Length', '0', 'Cache-Control', 'no-store', 'Vary', 'Cookie'], body: '' }, false)

  const problem = problemOf(error, trace.requestId, prefersHtml(request.headers.accept))
  problem.headers.push('Vary', 'Cookie', 'X-Request-Id', trace.requestId)
  if (problem.status === 401) problem.headers.push('WWW-Authenticate', 'Session')
  if (problem.status === 405) problem.headers.push('Allow', ALLOWED_METHODS)
  if (mayComeAgain(error, trace)) problem.headers.push('Retry-After', RETRY_AFTER_SECONDS)
  answer(request, response, problem, isUnreadable(error))
}

/** At open nothing has happened yet, so the client may simply come again; at commit the upstream has already acted. */
function mayComeAgain(error: unknown, trace: Trace): boolean {
  return error instanceof RateLimitedError || (error instanceof StoreUnavailableError && !trace.exchange)
}

/** Where such a request ends, two servers may see differently: nothing behind it on this connection can be believed. */
function isUnreadable(error: unknown): boolean {
  return error instanceof RequestInvalidError || error instanceof HeadersTooLargeError || error instanceof TargetTooLongError
}

interface Answer {
  readonly status: number
  readonly headers: string[]
  readonly body: string
}

/**
 * A body still on its way is read and thrown away for a moment before the connection ends, so that the client can read the answer,
 * which is complete on the wire by then (RFC 9112 section 9.6).
 */
function answer(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer, closes: boolean): void {
  if (closes || !request.complete) headers.push('Connection', 'close')
  response.writeHead(status, headers)
  if (request.complete) return void response.end(body)
  response.write(body)
  const timer = setTimeout(() => request.destroy(), LINGER_MS).unref()
  request.once('close', () => {
    clearTimeout(timer)
    response.end()
  })
  request.resume()
}

function loginLocationOf(error: unknown, request: IncomingMessage, trace: Trace): string | undefined {
  if (!(error instanceof SessionRequiredError) || trace.loginUrl === undefined) return undefined
  const isNavigation = request.method === 'GET' || request.method === 'HEAD'
  return isNavigation && prefersHtml(request.headers.accept) ? trace.loginUrl : undefined
}

function report(gateway: Gateway, trace: Trace, error: unknown): void {
  if (error instanceof ClientGoneError || error instanceof ClientStalledError) return
  if (!(error instanceof GatewayError)) {
    gateway.metrics.error('ERR_INTERNAL')
    return gateway.log.error({ req: trace.requestId, err: error }, 'a bug: unexpected error')
  }
  gateway.metrics.error(error.code)
  if (error instanceof MutationRefusedError) gateway.metrics.mutationRefused(error.reason)
  const facts = { req: trace.requestId, route: trace.route, code: error.code, err: error.message, ...(error instanceof MutationRefusedError ? { reason: error.reason } : {}) }
  if (error.source === 'client') gateway.log.debug(facts, 'request refused')
  else gateway.log.warn(facts, error instanceof MutationRefusedError ? 'mutation refused' : 'request failed')
}
