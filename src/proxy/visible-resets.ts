import { Socket } from 'node:net'

type Emit = (this: Socket, event: string | symbol, ...args: unknown[]) => boolean

/**
 * Makes a connection that was reset distinguishable from one that was closed, so that a close-delimited body that was cut never
 * passes for complete (RFC 9112 section 8). Two things hide a reset otherwise:
 *
 * - undici takes ECONNRESET for the end of such a body; under another code the same error fails the exchange;
 * - libuv reports a reset that arrives together with the last bytes as an orderly end. An empty write then tells the truth:
 *   it fails after a reset and succeeds after a close. (Plain TCP only: elsewhere an empty write means something else.)
 */
export function keepResetsVisible(socket: Socket): void {
  const emit = socket.emit.bind(socket) as Emit
  const isPlainTcp = socket.constructor === Socket && socket.remoteAddress !== undefined
  const watchful: Emit = function (event, ...args) {
    if (event === 'error') return emit.call(socket, 'error', renamed(args[0]))
    if (event !== 'end' || !isPlainTcp || !socket.writable) return emit.call(socket, event, ...args)
    socket.write(Buffer.alloc(0), (error) => {
      if (!error) emit.call(socket, 'end')
    })
    return true
  }
  socket.emit = watchful as typeof socket.emit
}

function renamed(error: unknown): unknown {
  const isReset = error instanceof Error && 'code' in error && error.code === 'ECONNRESET'
  return isReset ? Object.assign(new Error('the connection was reset', { cause: error }), { code: 'ERR_UPSTREAM_RESET' }) : error
}
