import { createConnectionPool, type ConnectionPool, type PoolOptions } from '../../src/proxy/connection-pool.ts'
import type { OutgoingRequest, ResponseHandler, RunningExchange } from '../../src/proxy/upstream-connection.ts'
import type { RawUpstream } from './raw-upstream.ts'

/** A request to a pool, and what has become of it. `over` settles with it, and never rejects. */
export interface Asked {
  readonly over: Promise<Asked>
  isWanted: boolean
  /** While it returns false, no more is read until `running.resume()`. */
  takesMore: () => boolean
  running: RunningExchange | undefined
  isSent: boolean
  status: number | undefined
  body: string
  error: Error | undefined
  /** Everything it was told, in order; content only once in a row. */
  readonly events: string[]
}

/** The pool of one raw upstream. */
export function poolOf(upstream: RawUpstream, options: Partial<PoolOptions> = {}): ConnectionPool {
  const origin = upstream.socketPath === undefined ? upstream.url : 'http://localhost'
  return createConnectionPool({
    origin, socketPath: upstream.socketPath, connections: 4, connectMs: 5_000, maxHeadBytes: 65_536,
    tls: { ca: undefined, servername: undefined, rejectUnauthorized: true }, ...options,
  })
}

export function ask(pool: ConnectionPool, target = '/', request: Partial<OutgoingRequest> = {}): Asked {
  let settle: (() => void) | undefined
  const over = new Promise<void>((resolve) => { settle = resolve }).then(() => asked)
  const asked: Asked = { over, isWanted: true, takesMore: () => true, running: undefined, isSent: false, status: undefined, body: '', error: undefined, events: [] }
  const tell = (event: string): void => { if (event !== 'data' || asked.events.at(-1) !== 'data') asked.events.push(event) }
  const handler: ResponseHandler = {
    get isWanted() { return asked.isWanted },
    onConnected(running) {
      tell('connected')
      asked.running = running
    },
    onRequestSent() {
      tell('sent')
      asked.isSent = true
    },
    onInterim: (status) => tell(String(status)),
    onHead(status) {
      tell('head')
      asked.status = status
    },
    onData(piece) {
      tell('data')
      asked.body += piece.toString('latin1')
      return asked.takesMore()
    },
    onComplete() {
      tell('complete')
      settle?.()
    },
    onError(error) {
      tell('error')
      asked.error = error
      settle?.()
    },
  }
  pool.dispatch({ method: 'GET', target, host: 'a', headers: [], ownLine: '', body: undefined, contentLength: undefined, ...request }, handler)
  return asked
}
