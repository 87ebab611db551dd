import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { OriginRefusedError, RequestInvalidError, UpstreamProtocolError } from '../errors.ts'
import { ClientGoneError } from '../proxy/forward.ts'
import { openTunnel, relay, type UpstreamUpgrade } from '../proxy/tunnel.ts'
import { admit, type Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { refuse } from './refuse.ts'
import { clientHeadersOf, respond } from './respond.ts'
import { commitMutation, openSession } from './session-steps.ts'
import { startTrace, type Trace } from './trace.ts'
import { upstreamHeadersOf, upstreamTargetOf } from './upstream-request.ts'

/** The story of one WebSocket handshake (RFC 6455 section 4). Never rejects. */
export async function handleUpgrade(gateway: Gateway, request: IncomingMessage, socket: Duplex, early: Buffer): Promise<void> {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.on('finish', () => (socket as Socket).destroySoon())
  socket.on('close', () => response.emit('close'))
  const trace = startTrace(gateway, request, response)
  try {
    await serve(gateway, { request, response, socket, early }, trace)
  } catch (error) {
    refuse(gateway, request, response, trace, error)
  }
}

interface Handshake {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly socket: Duplex
  /** What the client sent before the switch: held until it happened, dropped when it does not. */
  readonly early: Buffer
}

async function serve(gateway: Gateway, { request, response, socket, early }: Handshake, trace: Trace): Promise<void> {
  const admitted = admit(gateway, request, trace.peer)
  trace.admitted(admitted)
  checkHandshake(request, admitted)
  checkOrigin(admitted)
  const opened = await openSession(gateway, admitted)
  trace.opened(opened)

  const { route } = admitted
  const headers = upstreamHeadersOf(gateway, admitted, opened, trace.requestId)
  headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
  const tunnel = openTunnel(route.upstream, { target: upstreamTargetOf(admitted), headers }, route.timeouts)
  trace.exchange = tunnel
  socket.on('close', () => tunnel.abort(new ClientGoneError()))

  const upgrade = await tunnel.start()
  trace.headArrived()
  const head = gateway.readResponseHeaders(upgrade.headers)
  if (upgrade.kind === 'switched' && upgrade.protocol.toLowerCase() !== 'websocket') throw new UpstreamProtocolError(route.upstream.name, 'it switched to another protocol')
  const committed = await commitMutation(gateway, admitted, opened, upgrade.status, head)
  trace.committed(committed)
  const fields = clientHeadersOf(gateway, admitted, opened, head, committed)
  if (upgrade.kind === 'declined') return respond(response, route.upstream.name, upgrade, fields)
  switchProtocols(response, socket, upgrade, fields)
  relay(socket, upgrade.socket, { early, idleMs: route.websocket.idleMs, maxAgeMs: route.websocket.maxAgeMs, fromUpstream: upgrade.early })
}

function switchProtocols(response: ServerResponse, socket: Duplex, upgrade: UpstreamUpgrade, fields: readonly string[]): void {
  response.statusCode = 101
  response.detachSocket(socket as Socket)
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
  for (let i = 0; i < fields.length; i += 2) if (!FRAMING.has((fields[i] as string).toLowerCase())) lines.push(`${fields[i]}: ${fields[i + 1]}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  upgrade.socket.on('error', () => socket.destroy())
}

/** A 101 has no content (RFC 9110 section 8.6). */
const FRAMING: ReadonlySet<string> = new Set(['content-length'])
const KEY = /^[A-Za-z0-9+/]{22}==$/

function checkHandshake(request: IncomingMessage, { headers }: Admitted): void {
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw new RequestInvalidError('only upgrades to websocket are served')
  if (request.method !== 'GET' || request.httpVersionMinor < 1) throw new RequestInvalidError('a WebSocket handshake is a GET in HTTP/1.1')
  if (headers.isChunked || headers.contentLength !== undefined) throw new RequestInvalidError('a WebSocket handshake has no body')
  if (request.headers['sec-websocket-version'] !== '13') throw new RequestInvalidError('only WebSocket version 13 is spoken', 426)
  if (!KEY.test(request.headers['sec-websocket-key'] ?? '')) throw new RequestInvalidError('the Sec-WebSocket-Key is not 16 bytes')
}

/** Cookies go along with a handshake from any page, so the page must be allowed (RFC 6455 section 10.2). */
function checkOrigin({ route, headers, view }: Admitted): void {
  const { origins } = route.websocket
  const { origin } = headers
  const isAllowed = origins.includes('*')
    || (origin === undefined ? origins.includes('none') : origins.includes(origin) || (origins.includes('same') && isSameOrigin(origin, view.host)))
  if (!isAllowed) throw new OriginRefusedError()
}

function isSameOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
