import { once } from 'node:events'
import { connect } from 'node:net'
import { freePort } from '../ports.ts'
import type { ServerProcess } from './process.ts'
import { startServer } from './process.ts'

export interface MemcachedServer extends ServerProcess {
  readonly port: number
  /** host:port */
  readonly address: string
}

/** A memcached; `args` are further options, such as `-m 1`. */
export async function startMemcached(...args: string[]): Promise<MemcachedServer> {
  const port = await freePort()
  const server = await startServer({
    binary: 'memcached',
    debianPackage: 'memcached',
    args: ['-l', '127.0.0.1', '-p', String(port), '-u', 'nobody', ...args],
    isUp: async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect').finally(() => socket.destroy())
    },
  })
  return Object.assign(server, { port, address: `127.0.0.1:${port}` })
}
