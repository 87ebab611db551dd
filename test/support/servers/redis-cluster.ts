import { freePort } from '../ports.ts'
import { waitFor } from '../wait-for.ts'
import type { RedisServer } from './redis.ts'
import { startRedis } from './redis.ts'

export interface RedisCluster extends AsyncDisposable {
  /** host:port of each master. */
  readonly nodes: string[]
  /** The masters. */
  readonly servers: RedisServer[]
  /** One of each master, in the same order, where they were asked for. */
  readonly replicas: RedisServer[]
  /** The master that held the slot of this key when the cluster began. */
  masterOf(key: string): Promise<RedisServer>
  /** Resolves when every living node says that this replica is the master of its slots; until then one may still name the dead one. */
  isFollowed(heir: RedisServer): Promise<void>
}

const SLOTS = 16_384
const NODE = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-require-full-coverage', 'no', '--cluster-replica-validity-factor', '0']

/** `count` masters, each with a replica if asked for, all slots assigned, every node agreeing that the cluster is ok. */
export async function startRedisCluster(count = 3, { withReplicas = false } = {}): Promise<RedisCluster> {
  const busPorts = await Promise.all(Array.from({ length: 2 * count }, () => freePort()))   // by itself it takes one that the system hands out
  const start = (ports: readonly number[]) => Promise.all(ports.map((port) => startRedis(...NODE, '--cluster-port', String(port))))
  const [servers, replicas] = [await start(busPorts.slice(0, count)), withReplicas ? await start(busPorts.slice(count)) : []]
  const all = [...servers, ...replicas]
  const ends = Array.from({ length: count + 1 }, (_, index) => Math.round(index * SLOTS / count))
  await Promise.all(all.map((server, index) => server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))))
  await Promise.all(servers.map((server, index) => server.command('CLUSTER', 'ADDSLOTSRANGE', String(ends[index]), String(ends[index + 1]! - 1))))
  for (const server of all.slice(1)) await server.command('CLUSTER', 'MEET', '127.0.0.1', String(servers[0]!.port), String(busPorts[0]))
  const everyInfo = (said: readonly string[]) => waitFor(async () => {
    const infos = await Promise.all(all.map((server) => server.command('CLUSTER', 'INFO')))
    return infos.every((info) => said.every((line) => String(info).includes(line)))
  }, 'cluster that agrees', 15_000)
  await everyInfo(['cluster_state:ok', `cluster_slots_ok:${SLOTS}`, `cluster_known_nodes:${all.length}`])
  const ids = await Promise.all(servers.map((server) => server.command('CLUSTER', 'MYID')))
  await Promise.all(replicas.map(async (replica, index) => {
    await replica.command('CLUSTER', 'REPLICATE', String(ids[index]))
    await waitFor(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'), 'replica that follows', 15_000)
  }))

  return {
    nodes: servers.map(({ port }) => `127.0.0.1:${port}`),
    servers,
    replicas,
    async masterOf(key) {
      const slot = Number(await servers[0]!.command('CLUSTER', 'KEYSLOT', key))
      return servers[ends.findIndex((end) => slot < end) - 1]!
    },
    async isFollowed(heir) {
      const id = String(await heir.command('CLUSTER', 'MYID'))
      const living = all.filter((server) => server !== servers[replicas.indexOf(heir)])
      await waitFor(async () => {
        const views = await Promise.all(living.map((server) => server.command('CLUSTER', 'NODES')))
        return views.every((view) => String(view).split('\n').some((line) => line.startsWith(id) && / (myself,)?master .*\d+-\d+$/.test(line)))
      }, 'replica that all take for a master', 15_000)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((server) => server[Symbol.asyncDispose]()))
    },
  }
}
