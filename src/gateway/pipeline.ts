import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { TransientMap } from '../transient-map.ts'

/** The requests of each connection, one after the other. */
export interface Pipeline {
  /** Serves the request when those before it on its connection are answered; never, when one of the answers closed it. */
  enter(request: IncomingMessage, response: ServerResponse): void
  /** The last request on a connection, until it is answered. */
  latestOn(socket: Duplex): ServerResponse | undefined
  /** The last request of every connection that has one. */
  latest(): Iterable<ServerResponse>
}

/** Begins to serve a request. What it returns is called when the request has been answered or its client is gone. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => () => void

/** As many requests may wait on a connection before nothing more is read from it. (Then its end is not noticed either.) */
const MAX_WAITING = 16

/**
 * Answers go out in order anyway (RFC 9112 section 9.3.2). Serving in order too means that what follows a request we could not
 * read is never taken for another request, and that a connection has one share of the upstream however much it sends.
 */
export function createPipeline(serve: Serve): Pipeline {
  const latest = new TransientMap<Duplex, ServerResponse>()
  const waiting = new WeakMap<Duplex, number>()

  function enter(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const previous = latest.get(socket)
    latest.set(socket, response)
    if (!previous) return start(request, response)
    if (countWaiting(socket, 1) > MAX_WAITING) queueMicrotask(() => socket.pause())     // node:http reads on at the end of a message
    previous.once('close', () => {
      if (countWaiting(socket, -1) === MAX_WAITING) socket.resume()
      if (response.socket) return start(request, response)
      leave(socket, response)
      response.emit('close')
    })
  }

  function start(request: IncomingMessage, response: ServerResponse): void {
    const release = serve(request, response)
    response.on('close', () => {
      release()
      leave(request.socket, response)
    })
  }

  function leave(socket: Duplex, response: ServerResponse): void {
    if (latest.get(socket) === response) latest.delete(socket)
  }

  function countWaiting(socket: Duplex, change: number): number {
    const count = (waiting.get(socket) ?? 0) + change
    waiting.set(socket, count)
    return count
  }

  return { enter, latestOn: (socket) => latest.get(socket), latest: () => latest.values() }
}
