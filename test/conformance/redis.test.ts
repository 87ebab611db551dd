import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { testCertificates } from '../support/certificates.ts'
import { startRedis, startRedisCluster, startRedisSentinel, startValkey } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

interface Deployment extends AsyncDisposable {
  readonly options: Pick<RedisStoreOptions, 'url' | 'sentinel' | 'cluster' | 'username' | 'password' | 'tls'>
}

const deployments: Record<string, () => Promise<Deployment>> = {
  standalone: async () => {
    const server = await startRedis()
    return deployment(server, { url: `${server.url}/3` })
  },
  'unix socket and password': async () => {
    const server = await startRedis('--requirepass', 'a/b:c@d')
    return deployment(server, { url: server.socketUrl, password: 'a/b:c@d' })
  },
  'on Valkey': async () => {
    const server = await startValkey('--requirepass', 'secret')
    return deployment(server, { url: `${server.url}/1`, password: 'secret' })
  },
  sentinel: async () => {
    const sentinel = await startRedisSentinel()
    return deployment(sentinel, { url: 'redis://', sentinel })
  },
  'sentinel, in TLS, with an ACL user': async () => {
    const running = await startRedisSentinel({ isSecure: true })
    const sentinel = { name: running.name, nodes: running.nodes, username: 'watcher', password: 'sw' }
    return deployment(running, { url: 'redis://', username: 'gate', password: 'pw', tls: { ca: testCertificates().ca }, sentinel })
  },
  cluster: async () => {
    const cluster = await startRedisCluster()
    return deployment(cluster, { url: 'redis://', cluster: cluster.nodes })
  },
}

function deployment(servers: AsyncDisposable, options: Deployment['options']): Deployment {
  return { options, [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose]() }
}

describe.each(Object.keys(deployments))('redis, %s', (name) => {
  let running: Deployment
  beforeAll(async () => { running = await deployments[name]!() })
  afterAll(() => running[Symbol.asyncDispose]())

  const open = async (clock: Clock) => {
    const store = createRedisStore({ ...running.options, clock, timeoutMs: TIMEOUT_MS })
    await store.ping()
    return store
  }
  for (const { name: promise, run } of storeConformance({ open })) test(promise, run)
})

describe('redis, guarded', () => {
  let running: Deployment
  beforeAll(async () => { running = await deployments['standalone']!() })
  afterAll(() => running[Symbol.asyncDispose]())

  const open = (clock: Clock) =>
    guardStore(createRedisStore({ ...running.options, clock, timeoutMs: TIMEOUT_MS }), { timeoutMs: TIMEOUT_MS })
  for (const { name, run } of storeConformance({ open })) test(name, run)
})
