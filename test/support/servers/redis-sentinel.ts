import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../ports.ts'
import { waitFor } from '../wait-for.ts'
import type { ServerProcess } from './process.ts'
import { testCertificates } from '../certificates.ts'
import { serverDirectory, startServer } from './process.ts'
import type { RedisServer } from './redis.ts'
import { commandOn, startRedis } from './redis.ts'

export interface RedisSentinel extends AsyncDisposable {
  readonly name: string
  /** host:port of each sentinel. */
  readonly nodes: string[]
  readonly master: RedisServer
  readonly replica: RedisServer
  /** Resolves when the replica is the master, and the sentinels say so. */
  isFollowed(): Promise<void>
  /** Makes the replica the master and resolves when the sentinels agree. */
  failover(): Promise<void>
}

export interface SentinelOptions {
  /** How many of them. Default 1. */
  readonly count?: number
  /**
   * As a careful operator has it: every connection in TLS; the servers ask for the user `gate` and the password `pw`, who may do what
   * the gateway needs and nothing else, the sentinels for `watcher` and `sw`. Default false.
   */
  readonly isSecure?: boolean
}

const NAME = 'sessions'
const ADMIN = 'admin'
/** What docs/stores.md says that the gateway's user needs. */
export const GATE_USER = ['--user', 'gate', 'on', '>pw', '~session:*', '+@connection', '+@read', '+@scripting', '+set', '+pexpireat', '+setrange', '+del', '+info']

/** One master, one replica and some sentinels, which have found each other and the replica. */
export async function startRedisSentinel({ count = 1, isSecure = false }: SentinelOptions = {}): Promise<RedisSentinel> {
  const { caFile, server: leaf } = testCertificates()
  const tls = ['--tls-cert-file', leaf.certFile, '--tls-key-file', leaf.keyFile, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no', '--tls-replication', 'yes']
  const start = async (...args: string[]) => {
    const server = await startRedis(...args, ...isSecure ? [...GATE_USER, '--requirepass', ADMIN, '--masterauth', ADMIN, ...tls, '--tls-port'] : [])
    return { server, port: isSecure ? Number(new URL(server.tlsUrl).port) : server.port }
  }
  const { server: master, port: masterPort } = await start()
  const { server: replica, port: replicaPort } = await start('--replicaof', `127.0.0.1 ${masterPort}`)
  const quorum = Math.floor(count / 2) + 1
  const secured = [...pairsOf(tls), `sentinel auth-pass ${NAME} ${ADMIN}`, 'user default on nopass allcommands', 'user watcher on >sw allcommands']
  const lines = [`sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}`, ...isSecure ? secured : []]
  const sentinels = await Promise.all(Array.from({ length: count }, () => startSentinel(lines, isSecure)))
  if (isSecure) for (const { port } of sentinels) await commandOn(port, {}, ['ACL', 'SETUSER', 'default', 'resetpass', `>${ADMIN}`])

  async function ask(...words: string[]): Promise<unknown> {
    return commandOn(sentinels[0]!.port, isSecure ? { password: ADMIN } : {}, ['SENTINEL', ...words])
  }

  await waitFor(async () => {
    const info = String(await master.command('INFO', 'replication'))
    if (!info.includes('state=online')) return false
    const [replicas, others] = await Promise.all([ask('REPLICAS', NAME), ask('SENTINELS', NAME)]) as unknown[][]
    return replicas!.length === 1 && others!.length === count - 1
  }, 'sentinels that know everybody', 15_000)

  async function isFollowed(): Promise<void> {
    await waitFor(async () => {
      const [, port] = await ask('GET-MASTER-ADDR-BY-NAME', NAME) as string[]
      return Number(port) === replicaPort && String(await replica.command('INFO', 'replication')).includes('role:master')
    }, 'replica that became the master', 15_000)
  }

  return {
    name: NAME,
    nodes: sentinels.map(({ tlsPort, port }) => `127.0.0.1:${tlsPort ?? port}`),
    master,
    replica,
    isFollowed,
    async failover() {
      await waitFor(() => ask('FAILOVER', NAME).then(() => true, () => false), 'failover that begins', 15_000)
      await isFollowed()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sentinels, replica, master].map((server) => server[Symbol.asyncDispose]()))
    },
  }
}

/** `--a 1 --b 2` as lines of a configuration file. */
function pairsOf(options: readonly string[]): string[] {
  return options.flatMap((name, index) => index % 2 === 0 ? [`${name.slice(2)} ${options[index + 1]}`] : [])
}

async function startSentinel(lines: readonly string[], isSecure: boolean): Promise<ServerProcess & { readonly port: number; readonly tlsPort: number | undefined }> {
  const [port, tlsPort] = [await freePort(), isSecure ? await freePort() : undefined]
  const directory = serverDirectory()
  const config = join(directory, 'sentinel.conf')
  writeFileSync(config, [
    `port ${port}`, 'bind 127.0.0.1', ...tlsPort === undefined ? [] : [`tls-port ${tlsPort}`],
    ...lines,
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
  return Object.assign(server, { port, tlsPort })
}
