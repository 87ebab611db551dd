import { waitFor } from '../wait-for.ts'
import type { RedisServer } from './redis.ts'
import { startRedis } from './redis.ts'

export interface RedisCluster extends AsyncDisposable {
  /** host:port of each master. */
  readonly nodes: string[]
  readonly servers: RedisServer[]
}

const SLOTS = 16_384

/** `count` masters without replicas, all slots assigned, every node agreeing that the cluster is ok. */
export async function startRedisCluster(count = 3): Promise<RedisCluster> {
  const servers = await Promise.all(Array.from({ length: count }, () =>
    startRedis('--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-require-full-coverage', 'no')))
  await Promise.all(servers.map(async (server, index) => {
    const [from, to] = [index, index + 1].map((share) => Math.round(share * SLOTS / count))
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    await server.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to! - 1))
  }))
  for (const server of servers.slice(1)) await server.command('CLUSTER', 'MEET', '127.0.0.1', String(servers[0]!.port))
  await waitFor(async () => {
    const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')))
    return infos.every((info) => String(info).includes('cluster_state:ok') && String(info).includes(`cluster_slots_ok:${SLOTS}`))
  }, 'cluster that agrees', 15_000)

  return {
    nodes: servers.map(({ port }) => `127.0.0.1:${port}`),
    servers,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
    },
  }
}
