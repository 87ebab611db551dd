import { connect, createServer, type AddressInfo } from 'node:net'
import { waitFor } from './wait-for.ts'

/**
 * A loopback port that was free a moment ago. For servers that cannot listen on 0 themselves; the system hands such ports out
 * in turn, so another taker at once is unlikely but possible.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

/** Whether something accepts connections there now. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => { socket.destroy() })
  })
}

/** Resolves once something accepts connections on the port. */
export async function waitForPort(port: number, { host = '127.0.0.1', timeoutMs = 10_000 } = {}): Promise<void> {
  await waitFor(() => isListening(port, host), `listener on ${host}:${port}`, timeoutMs)
}
