import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../ports.ts'
import type { Launch, ServerProcess } from './process.ts'
import { serverDirectory, startServer } from './process.ts'

export interface RedisServer extends ServerProcess {
  readonly port: number
  /** redis://127.0.0.1:port */
  readonly url: string
  /** rediss://127.0.0.1:port, when `--tls-port` was the last of the options; its port is chosen here. */
  readonly tlsUrl: string
  /** unix:///... of the same server. */
  readonly socketUrl: string
  /** One command on a connection of its own; the reply as text. */
  command(...words: string[]): Promise<unknown>
}

/** A redis-server without persistence, on TCP and on a unix socket. `args` are further options, such as `--requirepass`. */
export function startRedis(...args: string[]): Promise<RedisServer> {
  return start({ binary: 'redis-server', debianPackage: 'redis-server' }, args)
}

/** The same of Valkey, whose build has no TLS. */
export function startValkey(...args: string[]): Promise<RedisServer> {
  return start({ binary: 'valkey-server' }, args)
}

async function start(program: Pick<Launch, 'binary' | 'debianPackage'>, args: readonly string[]): Promise<RedisServer> {
  const [port, tlsPort] = await Promise.all([freePort(), freePort()])
  const directory = serverDirectory()
  const socket = join(directory, 'redis.sock')
  const password = args[args.indexOf('--requirepass') + 1]
  const credentials = args.includes('--requirepass') ? { password: password! } : {}
  const server = await startServer({
    ...program,
    args: [
      '--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socket, '--save', '', '--appendonly', 'no',
      '--repl-diskless-sync-delay', '0', '--enable-debug-command', 'local',
      ...args, ...(args.at(-1) === '--tls-port' ? [String(tlsPort)] : []),
    ],
    directory,
    isUp: async () => { await commandOn(port, credentials, ['PING']) },
  })
  return Object.assign(server, {
    port,
    url: `redis://127.0.0.1:${port}`,
    tlsUrl: `rediss://127.0.0.1:${tlsPort}`,
    socketUrl: `unix://${socket}`,
    command: (...words: string[]) => commandOn(port, credentials, words),
  })
}

export async function commandOn(port: number, credentials: { password?: string }, [name, ...args]: string[]): Promise<unknown> {
  const client = new Redis({ port, host: '127.0.0.1', ...credentials, lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false })
  client.on('error', () => {})                                        // it rejects below
  try {
    await client.connect()
    return await client.call(name!, ...args)
  } finally {
    client.disconnect()
  }
}
