import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../ports.ts'
import { waitFor } from '../wait-for.ts'
import type { ServerProcess } from './process.ts'
import { serverDirectory, startServer } from './process.ts'
import type { RedisServer } from './redis.ts'
import { commandOn, startRedis } from './redis.ts'

export interface RedisSentinel extends AsyncDisposable {
  readonly name: string
  /** host:port of each sentinel. */
  readonly nodes: string[]
  readonly master: RedisServer
  readonly replica: RedisServer
  /** Makes the replica the master and resolves when the sentinels agree. */
  failover(): Promise<void>
}

const NAME = 'sessions'

/** One master, one replica and `count` sentinels, which have found each other and the replica. */
export async function startRedisSentinel(count = 1): Promise<RedisSentinel> {
  const master = await startRedis()
  const replica = await startRedis('--replicaof', `127.0.0.1 ${master.port}`)
  const quorum = Math.floor(count / 2) + 1
  const sentinels = await Promise.all(Array.from({ length: count }, () => startSentinel(master.port, quorum)))

  async function ask(...words: string[]): Promise<unknown> {
    return commandOn(sentinels[0]!.port, {}, ['SENTINEL', ...words])
  }

  await waitFor(async () => {
    const info = String(await master.command('INFO', 'replication'))
    if (!info.includes('state=online')) return false
    const [replicas, others] = await Promise.all([ask('REPLICAS', NAME), ask('SENTINELS', NAME)]) as unknown[][]
    return replicas!.length === 1 && others!.length === count - 1
  }, 'sentinels that know everybody', 15_000)

  return {
    name: NAME,
    nodes: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    master,
    replica,
    async failover() {
      await waitFor(() => ask('FAILOVER', NAME).then(() => true, () => false), 'failover that begins', 15_000)
      await waitFor(async () => {
        const [, port] = await ask('GET-MASTER-ADDR-BY-NAME', NAME) as string[]
        return Number(port) === replica.port && String(await replica.command('INFO', 'replication')).includes('role:master')
      }, 'replica that became the master', 15_000)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sentinels, replica, master].map((server) => server[Symbol.asyncDispose]()))
    },
  }
}

async function startSentinel(masterPort: number, quorum: number): Promise<ServerProcess & { readonly port: number }> {
  const port = await freePort()
  const directory = serverDirectory()
  const config = join(directory, 'sentinel.conf')
  writeFileSync(config, [
    `port ${port}`, 'bind 127.0.0.1',
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${NAME} 500`,
    `sentinel failover-timeout ${NAME} 2000`,
  ].join('\n'))
  const server = await startServer({
    binary: 'redis-server',
    debianPackage: 'redis-server',
    args: [config, '--sentinel'],
    directory,
    isUp: async () => { await commandOn(port, {}, ['PING']) },
  })
  return Object.assign(server, { port })
}
