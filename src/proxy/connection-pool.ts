import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { placeOf, type TargetTls } from './target-place.ts'
import { UpstreamConnection, type OutgoingRequest, type ResponseHandler } from './upstream-connection.ts'

export interface PoolOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string
  readonly socketPath: string | undefined
  /** At most this many at a time; further requests wait. */
  readonly connections: number
  readonly connectMs: number
  /** Response head limit, bytes. */
  readonly maxHeadBytes: number
  readonly tls: TargetTls
}

/** The connections to one server. */
export interface ConnectionPool {
  /** The handler is called later, never from within. */
  dispatch(request: OutgoingRequest, handler: ResponseHandler): void
  /** Closes idle connections and, when all exchanges have ended, the rest. */
  close(): Promise<void>
}

/** A connection attempt that failed: whatever was to be sent on it was not. */
export class ConnectFailedError extends Error {
  readonly code = 'ERR_UPSTREAM_CONNECT_FAILED'

  constructor(override readonly cause: Error | null, readonly isTimeout: boolean) {
    super('no connection', { cause })
  }
}

interface Waiting {
  readonly request: OutgoingRequest
  readonly handler: ResponseHandler
}

/** Shorter than the keep-alive of common servers (node:http closes after 5 s), so that a reused connection is seldom a dead one. */
const KEEP_ALIVE_MS = 4_000
/** What a server's own word (Keep-Alive: timeout) is shortened by. */
const KEEP_ALIVE_MARGIN_MS = 1_000
const MAX_KEEP_ALIVE_MS = 600_000
const SWEEP_MS = 500

export function createConnectionPool(options: PoolOptions): ConnectionPool {
  const idle: UpstreamConnection[] = []
  /** Their answers ended in this turn of the event loop. */
  const freed: UpstreamConnection[] = []
  const waiting: Waiting[] = []
  let opened = 0
  let connecting = 0
  let isServeDue = false
  let sweeper: NodeJS.Timeout | undefined
  let closed: Promise<void> | undefined
  let onAllClosed: (() => void) | undefined
  const connect = connectorOf(options)
  const owner = { onFree, onClosed }
  const isClosing = (): boolean => closed !== undefined

  /**
   * Requests go out once all that this turn of the event loop has brought is read, and on connections that were free before it began:
   * what comes along with an answer, an end or bytes that nobody asked for, may be read one turn later (GHSA-35p6-xmwp-9g52).
   */
  function serveSoon(): void {
    if (isServeDue) return
    isServeDue = true
    setImmediate(serve)
  }

  function serve(): void {
    isServeDue = false
    while (hasWaiting()) {
      const connection = takeIdle()
      if (!connection) break
      use(connection)
    }
    openMore()
    if (freed.length > 0) admitFreed()
    if (isClosing()) settleClose()
  }

  function admitFreed(): void {
    for (const connection of freed) if (connection.isAlive) idle.push(connection)
    freed.length = 0
    if (waiting.length > 0) serveSoon()
  }

  /** Whether anybody waits who still wants it. */
  function hasWaiting(): boolean {
    while (waiting[0] && !waiting[0].handler.isWanted) waiting.shift()
    return waiting.length > 0
  }

  function takeIdle(): UpstreamConnection | undefined {
    for (;;) {
      const connection = idle.pop()
      if (!connection || connection.isAlive) return connection
    }
  }

  /** Gives it to whoever waits longest; without one it rests. */
  function use(connection: UpstreamConnection): void {
    for (;;) {
      const next = nextWaiting()
      if (!next) return rest(connection)
      const { request, handler } = next
      try {
        handler.onConnected(connection)
        return connection.start(request, handler)
      } catch (error) {
        handler.onError(error as Error)
      }
    }
  }

  function nextWaiting(): Waiting | undefined {
    return hasWaiting() ? waiting.shift() : undefined
  }

  function openMore(): void {
    while (connecting + freed.length < waiting.length && opened < options.connections) {
      opened++
      connecting++
      connect((error, socket) => {
        connecting--
        if (socket) return use(new UpstreamConnection(socket, owner, options.maxHeadBytes))
        // Whoever this attempt was for may have been served meanwhile.
        if (connecting < waiting.length) nextWaiting()?.handler.onError(error as ConnectFailedError)
        onClosed()
      })
    }
  }

  function rest(connection: UpstreamConnection): void {
    if (!mayRest(connection)) return connection.close()
    idle.push(connection)
    keepSweeping()
  }

  function onFree(connection: UpstreamConnection): void {
    if (!mayRest(connection)) return connection.close()
    freed.push(connection)
    keepSweeping()
    serveSoon()
  }

  function mayRest(connection: UpstreamConnection): boolean {
    return !isClosing() && keepAliveMsOf(connection) > 0
  }

  function onClosed(connection?: UpstreamConnection): void {
    opened--
    const at = connection ? idle.indexOf(connection) : -1
    if (at >= 0) idle.splice(at, 1)
    if (waiting.length > 0) serveSoon()
    if (isClosing()) settleClose()
  }

  function settleClose(): void {
    if (opened === 0 && !hasWaiting()) onAllClosed?.()
  }

  function keepSweeping(): void {
    sweeper ??= setInterval(sweep, SWEEP_MS).unref()
  }

  function sweep(): void {
    const now = performance.now()
    for (const connection of [...idle]) {
      if (now - connection.freeSince >= keepAliveMsOf(connection)) connection.close()
    }
    if (idle.length + freed.length > 0) return
    clearInterval(sweeper)
    sweeper = undefined
  }

  return {
    dispatch(request, handler) {
      waiting.push({ request, handler })
      serveSoon()
    },
    close() {
      closed ??= new Promise((resolve) => { onAllClosed = resolve })
      for (const connection of [...idle, ...freed]) connection.close()
      clearInterval(sweeper)
      settleClose()
      return closed
    },
  }
}

function keepAliveMsOf({ keepAliveMs }: UpstreamConnection): number {
  return keepAliveMs === undefined ? KEEP_ALIVE_MS : Math.min(keepAliveMs - KEEP_ALIVE_MARGIN_MS, MAX_KEEP_ALIVE_MS)
}

type Connect = (done: (error: ConnectFailedError | undefined, socket?: Socket) => void) => void

/** Opens a connection in at most `connectMs`. */
function connectorOf(options: PoolOptions): Connect {
  const { connectMs } = options
  const { address, tls } = placeOf(options, options.tls)
  const common = {
    ...('socketPath' in address ? { path: address.socketPath } : address),
    noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, allowHalfOpen: true,
  }
  let session: Buffer | undefined

  function open(): Socket {
    if (!tls) return connectPlain(common)
    return connectTls({ ...common, ...tls, ALPNProtocols: ['http/1.1'], ...(session ? { session } : {}) })
      .on('session', (fresh: Buffer) => { session = fresh })
  }

  return (done) => {
    const socket = open()
    const timer = setTimeout(() => settle(new ConnectFailedError(new Error(`no connection within ${connectMs} ms`), true)), connectMs)
    const onError = (error: Error): void => settle(new ConnectFailedError(error, false))
    const settle = (error?: ConnectFailedError): void => {
      clearTimeout(timer)
      socket.off('error', onError)
      if (!error) return done(undefined, socket)
      session = undefined
      socket.on('error', () => undefined).destroy()
      done(error)
    }
    socket.on('error', onError)
    socket.once(tls ? 'secureConnect' : 'connect', () => settle())
  }
}
