import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

const LINGER_MS = 2_000

/**
 * A bare answer on a socket whose request could not be read, then the end of it. What is still in flight is read and thrown away
 * for a moment: a connection closed on unread bytes is reset, and takes the answer with it (RFC 9112 section 9.6).
 */
export function endWith(socket: Duplex, status: number, extraFields = ''): void {
  socket.on('error', ignore)
  socket.removeAllListeners('data')
  socket.on('data', ignore)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n${extraFields}\r\n`)
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.once('end', () => socket.destroy())
  socket.resume()
}

function ignore(): void {
  // Nothing that comes over this socket matters any more.
}
