import type { IncomingMessage, ServerResponse } from 'node:http'
import { ClientGoneError, Exchange } from '../proxy/forward.ts'
import { admit } from './admit.ts'
import { answerLocally } from './local-answer.ts'
import { relayEarlyHints } from './early-hints.ts'
import type { Gateway } from './gateway.ts'
import { refuse } from './refuse.ts'
import { clientHeadersOf, respond } from './respond.ts'
import { commitMutation, openSession } from './session-steps.ts'
import { startTrace, type Trace } from './trace.ts'
import { assertionFor, bodyOf, upstreamHeadersOf, upstreamHostOf, upstreamTargetOf } from './upstream-request.ts'

/** The story of one request. Never rejects: every failure becomes an answer, or a cut connection once an answer has begun. */
export async function handleRequest(gateway: Gateway, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const trace = startTrace(gateway, request, response)
  try {
    await serve(gateway, request, response, trace)
  } catch (error) {
    refuse(gateway, request, response, trace, error)
  }
}

async function serve(gateway: Gateway, request: IncomingMessage, response: ServerResponse, trace: Trace): Promise<void> {
  const admitted = admit(gateway, request, trace.peer)
  trace.admitted(admitted)
  if (answerLocally(admitted, request, response)) return
  const opened = await openSession(gateway, admitted)
  trace.opened(opened)
  if (response.destroyed) throw new ClientGoneError()

  const { route } = admitted
  const assertion = assertionFor(gateway, admitted, opened)
  const exchange = new Exchange(route.upstream, {
    method: request.method ?? 'GET',
    target: upstreamTargetOf(admitted),
    host: upstreamHostOf(admitted),
    headers: upstreamHeadersOf(gateway, admitted, opened, trace.requestId),
    ownLine: assertion === undefined ? '' : `${gateway.names.assertion}: ${assertion}\r\n`,
    body: bodyOf(admitted, request),
    contentLength: admitted.headers.contentLength,
    maxBodyBytes: route.maxBodyBytes,
    limits: gateway.limits,
    onEarlyHints: request.httpVersionMinor === 0 ? undefined : (headers) => relayEarlyHints(response, headers),
  }, route.timeouts, gateway.deadlines)
  trace.exchange = exchange
  response.on('close', () => {
    if (!response.writableFinished) exchange.abort(new ClientGoneError())
  })
  if (admitted.headers.expectsContinue && request.httpVersionMinor >= 1) response.writeContinue()

  const upstreamResponse = await exchange.start()
  trace.headArrived()
  const head = gateway.readResponseHeaders(upstreamResponse.headers, route.adapter?.claims)
  const committed = await commitMutation(gateway, admitted, opened, upstreamResponse.status, head)
  trace.committed(committed)
  respond(response, route.upstream.name, upstreamResponse, clientHeadersOf(gateway, admitted, opened, head, committed))
}
