import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { unlink } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import type { Address } from '../config/address.ts'
import { endWith } from './end-with.ts'
import { handleRequest } from './handle-request.ts'
import { handleUpgrade } from './handle-upgrade.ts'
import type { LiveGateway } from './live-gateway.ts'
import { createPipeline } from './pipeline.ts'
import { ALLOWED_METHODS } from './refuse.ts'

export interface TlsOptions {
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export interface ListenerOptions {
  readonly tls: TlsOptions | undefined
  readonly maxHeaderBytes: number
  readonly maxConnections: number
  readonly headersTimeoutMs: number
  readonly keepAliveMs: number
}

/** One accepting socket in front of the live gateway. */
export interface Listener {
  /** Resolves to the TCP port in use (0 for a unix socket). */
  listen(address: Address): Promise<number>
  /** New certificates for new connections. */
  setTls(tls: TlsOptions): void
  connections(): number
  /** Stops accepting and closes idle connections; resolves when the last request has ended, or destroys them at the deadline. */
  drain(deadlineMs: number): Promise<void>
}

/** What becomes of a request; `sessiongate learn` looks at it first. */
export type HandleRequest = typeof handleRequest

export function createListener(live: LiveGateway, options: ListenerOptions, handle: HandleRequest = handleRequest): Listener {
  const pipeline = createPipeline(serve)
  const tunnels = new Set<Duplex>()
  const sockets = new Set<Duplex>()
  let isDraining = false
  const server = openServer(options)

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    if (!socket.writable) return
    // A client of HTTP/0.9 takes every byte for the body it asked for, so it gets none.
    if (request.httpVersionMajor < 1) endConnection(socket, 505)
    else pipeline.enter(request, response)
  }

  function serve(request: IncomingMessage, response: ServerResponse): () => void {
    const lease = live.lease()
    if (isDraining || request.httpVersionMinor === 0) response.shouldKeepAlive = false
    void handle(lease.gateway, request, response)
    return lease.release
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', ignore)
    if (pipeline.latestOn(socket)) return endConnection(socket, 400)
    const lease = live.lease()
    tunnels.add(socket)
    socket.on('close', () => {
      tunnels.delete(socket)
      lease.release()
    })
    void handleUpgrade(lease.gateway, request, socket, head)
  }

  function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    live.current().metrics.error('ERR_REQUEST_INVALID')
    endConnection(socket, CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400)
  }

  /** Nothing more is read from this connection. Whole requests on it still get their answers; one whose body broke gets `status`. */
  function endConnection(socket: Duplex, status: number, extraFields = ''): void {
    const response = pipeline.latestOn(socket)
    if (!response) return endWith(socket, status, extraFields)
    if (response.req.complete) {
      response.shouldKeepAlive = false
      socket.on('drain', () => response.emit('drain'))       // node:http stopped doing so if this was an upgrade
      return void response.once('finish', () => (socket as Socket).destroySoon())
    }
    if (response.headersSent || !response.socket) return void socket.destroy()
    response.detachSocket(socket as Socket)
    response.destroy()
    response.emit('close')
    endWith(socket, status, extraFields)
  }

  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', onUpgrade)
  server.on('connect', (_request, socket: Duplex) => endConnection(socket, 405, `Allow: ${ALLOWED_METHODS}\r\n`))
  server.on('clientError', onClientError)
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  return {
    listen: (address) => listen(server, address),
    setTls: ({ cert, key, minVersion }) => {
      if ('setSecureContext' in server) (server as ReturnType<typeof createHttpsServer>).setSecureContext({ cert, key, minVersion })
    },
    connections: () => sockets.size,
    async drain(deadlineMs) {
      isDraining = true
      for (const response of pipeline.latest()) if (!response.headersSent) response.shouldKeepAlive = false
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, deadlineMs)
      for (const socket of tunnels) socket.end()
      const sweep = setInterval(() => server.closeIdleConnections(), 50)
      await closed
      clearTimeout(timer)
      clearInterval(sweep)
    },
  }
}

function openServer(options: ListenerOptions): Server {
  const http = {
    maxHeaderSize: options.maxHeaderBytes,
    headersTimeout: options.headersTimeoutMs,
    // The whole request may take as long as its body keeps coming: proxy/forward.ts watches that.
    requestTimeout: 0,
    keepAliveTimeout: options.keepAliveMs,
    connectionsCheckingInterval: Math.min(options.headersTimeoutMs, 1_000),
    requireHostHeader: false,
    noDelay: true,
  }
  const server = options.tls ? createHttpsServer({ ...http, ...options.tls }) : createHttpServer(http)
  // Fields beyond this count would vanish from view while the parser still obeys them (CVE-2026-58044): we count ourselves.
  server.maxHeadersCount = 0
  server.maxConnections = options.maxConnections
  server.timeout = 0
  return server
}

const CLIENT_ERROR_STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_INVALID_VERSION: 505,
}

function ignore(): void {
  // A socket we are done with may fail; whoever uses it listens on its own.
}

async function listen(server: Server, address: Address): Promise<number> {
  if (address.kind === 'unix') await removeStaleSocket(address.path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const onListening = (): void => {
      server.off('error', reject)
      resolve()
    }
    if (address.kind === 'unix') server.listen({ path: address.path }, onListening)
    else server.listen({ host: address.host, port: address.port }, onListening)
  })
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}

/** A socket file nobody answers on is a leftover of a killed process. */
async function removeStaleSocket(path: string): Promise<void> {
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })
  if (!isAnswered) await unlink(path).catch(ignore)
}
