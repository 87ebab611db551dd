import { connect, createServer } from 'node:net'
import { waitFor } from './wait-for.ts'

const FIRST = 12_000
const LAST = 31_999
let next = FIRST + Math.floor(Math.random() * (LAST - FIRST))

/**
 * A loopback port that is free. Below the range the system hands out by itself, and never the same twice in one process, so that no
 * listener on port 0 and no outgoing connection takes it before its user does.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = next
    next = port === LAST ? FIRST : port + 1
    if (await isFree(port, host)) return port
  }
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer()
  const isOurs = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, host, () => resolve(true))
  })
  if (isOurs) await new Promise((resolve) => { server.close(resolve) })
  return isOurs
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
