import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { OriginRefusedError, RequestInvalidError, UpstreamProtocolError } from '../errors.ts'
import { ClientGoneError } from '../proxy/forward.ts'
import { relay } from '../proxy/relay.ts'
import { Tunnel } from '../proxy/tunnel.ts'
import type { SessionId } from '../session/session.ts'
import type { Committed, Opened } from '../session/sessions.ts'
import { admit, type Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { refuse } from './refuse.ts'
import { clientHeadersOf, respond } from './respond.ts'
import { commitMutation, openSession } from './session-steps.ts'
import { startTrace, type Trace } from './trace.ts'
import { assertionFor, upstreamHeadersOf, upstreamHostOf, upstreamTargetOf } from './upstream-request.ts'

/** The story of one WebSocket handshake (RFC 6455 section 4). Never rejects. */
export async function handleUpgrade(gateway: Gateway, request: IncomingMessage, socket: Duplex, early: Buffer): Promise<void> {
  if (early.length > 0) socket.unshift(early)
  const response = answerOn(socket as Socket, request)
  const trace = startTrace(gateway, request, response)
  try {
    await serve(gateway, { request, response, socket }, trace)
  } catch (error) {
    refuse(gateway, request, response, trace, error)
  }
}

interface Handshake {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** What the client sends before the switch waits in it, and is dropped when there is none. */
  readonly socket: Duplex
}

/** node:http makes no response for an upgrade. Any answer but a 101 ends the connection. */
function answerOn(socket: Socket, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.on('finish', () => {
    if (response.statusCode !== SWITCHING) socket.destroySoon()
  })
  return response
}

async function serve(gateway: Gateway, handshake: Handshake, trace: Trace): Promise<void> {
  const { response, socket } = handshake
  const admitted = admit(gateway, handshake.request, trace.peer)
  trace.admitted(admitted)
  checkHandshake(handshake, admitted)
  checkOrigin(admitted)
  const giveBack = holdEarly(socket)
  const opened = await openSession(gateway, admitted)
  trace.opened(opened)
  if (socket.destroyed) throw new ClientGoneError()

  const { route } = admitted
  const headers = ['Host', upstreamHostOf(admitted), ...upstreamHeadersOf(gateway, admitted, opened, trace.requestId)]
  const assertion = assertionFor(gateway, admitted, opened)
  if (assertion !== undefined) headers.push(gateway.names.assertion, assertion)
  headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
  const tunnel = new Tunnel(route.upstream, { target: upstreamTargetOf(admitted), headers }, route.timeouts)
  trace.exchange = tunnel
  socket.on('close', () => tunnel.abort(new ClientGoneError()))

  const upgrade = await tunnel.start()
  trace.headArrived()
  const head = gateway.readResponseHeaders(upgrade.headers, route.adapter?.claims)
  if (upgrade.kind === 'switched' && upgrade.protocol.toLowerCase() !== 'websocket') throw new UpstreamProtocolError(route.upstream.name, 'it switched to another protocol')
  const committed = await commitMutation(gateway, admitted, opened, upgrade.status, head)
  trace.committed(committed)
  const fields = clientHeadersOf(gateway, admitted, opened, head, committed)
  if (upgrade.kind === 'declined') return respond(response, route.upstream.name, upgrade, fields)
  if (socket.destroyed) throw new ClientGoneError()

  giveBack()
  switchProtocols(response, fields)
  const { idleMs, maxAgeMs, recheckMs } = route.websocket
  const pair = relay(socket, upgrade.socket, gateway.deadlines, { idleMs, maxAgeMs })
  const { tunnels, metrics } = gateway
  tunnels.add(pair, sessionOf(opened, committed), recheckMs)
  metrics.webSockets(tunnels.count())
  socket.on('close', () => {
    tunnels.remove(pair)
    metrics.webSockets(tunnels.count())
  })
}

/**
 * Reads from a client before the switch, to notice when it leaves: a socket that is not read tells of no end. What it sends is held,
 * a little of it at least, until the returned function puts it back.
 */
function holdEarly(socket: Duplex): () => void {
  const held: Buffer[] = []
  let bytes = 0
  const hold = (): void => {
    while (bytes < MAX_EARLY_BYTES) {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      held.push(chunk)
      bytes += chunk.length
    }
  }
  const leave = (): void => void socket.destroy()
  socket.on('readable', hold)
  socket.on('end', leave)
  return () => {
    socket.off('readable', hold)
    socket.off('end', leave)
    if (bytes > 0) socket.unshift(Buffer.concat(held))
  }
}

/** The session the WebSocket belongs to, the change of its own 101 considered. */
function sessionOf({ loaded }: Opened, { cookie, outcome }: Committed): SessionId | undefined {
  if (cookie.kind === 'set') return cookie.id
  return outcome === 'destroyed' ? undefined : loaded?.session.id
}

/** Sends the 101; from here on the socket belongs to whoever relays. */
function switchProtocols(response: ServerResponse, fields: readonly string[]): void {
  const socket = response.socket as Socket
  // A 101 has no content (RFC 9110 section 8.6).
  const head = fields.filter((_, i) => (fields[i - (i % 2)] as string).toLowerCase() !== 'content-length')
  response.writeHead(SWITCHING, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...head])
  response.end()
  response.detachSocket(socket)
  socket.on('close', () => response.emit('close'))
}

const SWITCHING = 101
const MAX_EARLY_BYTES = 65_536
const KEY = /^[A-Za-z0-9+/]{22}==$/

function checkHandshake({ request, response }: Handshake, { headers }: Admitted): void {
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw new RequestInvalidError('only upgrades to websocket are served')
  if (request.method !== 'GET' || request.httpVersionMinor < 1) throw new RequestInvalidError('a WebSocket handshake is a GET in HTTP/1.1')
  if (headers.isChunked || headers.contentLength !== undefined) throw new RequestInvalidError('a WebSocket handshake has no body')
  if (request.headers['sec-websocket-version'] !== '13') {
    // RFC 6455 section 4.4; RFC 9110 section 15.5.22.
    response.setHeader('Sec-WebSocket-Version', '13').setHeader('Upgrade', 'websocket')
    throw new RequestInvalidError('only WebSocket version 13 is spoken', 426)
  }
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

/** An origin as browsers write it, scheme and host alone, that names the host asked for. */
function isSameOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const named = new URL(origin)
  return named.origin === origin.toLowerCase() && named.host === new URL(`${named.protocol}//${host}`).host
}
