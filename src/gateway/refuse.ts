import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError, MutationRefusedError, SessionRequiredError, StoreUnavailableError } from '../errors.ts'
import { prefersHtml, problemOf } from '../http/problem.ts'
import { ClientGoneError, ClientStalledError } from '../proxy/forward.ts'
import type { Gateway } from './gateway.ts'
import type { Trace } from './trace.ts'

const LINGER_MS = 5_000
const RETRY_AFTER_SECONDS = '1'

/** Turns a failure into the client's answer. Once a head is out nothing can be said any more: the connection is cut. */
export function refuse(gateway: Gateway, request: IncomingMessage, response: ServerResponse, trace: Trace, error: unknown): void {
  trace.error = error
  trace.exchange?.abort(error instanceof Error ? error : new Error('refused'))
  report(gateway, trace, error)
  if (error instanceof ClientGoneError || response.headersSent || response.destroyed) return void response.destroy()
  if (error instanceof ClientStalledError) return answer(request, response, { status: 408, headers: ['Content-Length', '0', 'Connection', 'close'], body: '' })
  const location = loginLocationOf(error, request, trace)
  if (location !== undefined) return answer(request, response, { status: 302, headers: ['Location', location, 'Content-Length', '0', 'Cache-Control', 'no-store', 'Vary', 'Cookie'], body: '' })

  const problem = problemOf(error, trace.requestId, prefersHtml(request.headers.accept))
  problem.headers.push('X-Request-Id', trace.requestId)
  if (trace.route !== undefined) problem.headers.push('Vary', 'Cookie')
  if (problem.status === 401) problem.headers.push('WWW-Authenticate', 'Session')
  if (problem.status === 405) problem.headers.push('Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
  // At open nothing has happened yet, so the client may simply come again; at commit the upstream has already acted.
  if (error instanceof StoreUnavailableError && !trace.exchange) problem.headers.push('Retry-After', RETRY_AFTER_SECONDS)
  answer(request, response, problem)
}

interface Answer {
  readonly status: number
  readonly headers: string[]
  readonly body: string
}

/** The rest of an unread body is read and thrown away for a moment, so that the client can read the answer (RFC 9112 section 9.6). */
function answer(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers)
  response.end(body)
  if (request.complete) return
  const timer = setTimeout(() => request.destroy(), LINGER_MS).unref()
  request.once('close', () => clearTimeout(timer))
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
