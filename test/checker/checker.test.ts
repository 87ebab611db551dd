import { describe, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createMemcachedStore } from '../../src/stores/memcached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createMongodbStore } from '../../src/stores/mongodb.ts'
import { createMysqlStore } from '../../src/stores/mysql.ts'
import { createPostgresStore } from '../../src/stores/postgres.ts'
import { createSharedRedisStore } from '../../src/stores/redis-shared.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { httpClient } from '../support/http-client.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { startMariadb, startMemcached, startMongodb, startPostgres, startRedis } from '../support/servers.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWorld, type World } from '../support/world.ts'
import { checkedApp } from './app.ts'
import { withoutCompare, withoutTombstones, withStaleReads } from './flawed-stores.ts'
import { startNemesis, type Victim } from './nemesis.ts'
import { runClients, type RunOptions, type Summary } from './run-clients.ts'

/** Acknowledged operations per run: seconds in the suite; `CHECKER_OPERATIONS=100000` for the claim. */
const OPERATIONS = Number(process.env['CHECKER_OPERATIONS'] ?? 500)
const SEED = Number(process.env['CHECKER_SEED'] ?? Date.now() % 1_000_000)
const TIMEOUT_MS = 60_000 + OPERATIONS * 30

interface Deployment extends AsyncDisposable {
  readonly victim: Victim
  /** Of the gateways, beside the store that is opened for them. */
  readonly config?: Record<string, unknown>
  /** The store as one gateway opens it, through its own network. */
  open(relay: Relay): SessionStore
}

const deployments: Record<string, () => Promise<Deployment>> = {
  redis: async () => {
    const server = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
    return {
      victim: { server, relays: await relaysTo(server.port), isDurable: true, own: { 'script flush': () => server.command('SCRIPT', 'FLUSH') } },
      open: (relay) => guardStore(createRedisStore({ url: `redis://${relay.address}`, timeoutMs: 250 }), { timeoutMs: 250 }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
  'redis with the records of Flask-Session': async () => {
    const server = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
    return {
      victim: { server, relays: await relaysTo(server.port), isDurable: true, own: { 'script flush': () => server.command('SCRIPT', 'FLUSH') } },
      config: { store: { kind: 'redis', recordFormat: { kind: 'flask-session' } } },
      open: (relay) => guardStore(createSharedRedisStore({ url: `redis://${relay.address}`, keyPrefix: 'session:', lifetimeMs: 31 * 86_400_000, timeoutMs: 250 }), { timeoutMs: 250 }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
  postgres: () => sqlDeployment(startPostgres(), createPostgresStore),
  mysql: () => sqlDeployment(startMariadb(), createMysqlStore),
  memcached: async () => {
    const server = await startMemcached()
    return {
      victim: { server, relays: await relaysTo(server.port), isDurable: false },
      open: (relay) => guardStore(createMemcachedStore({ servers: [relay.address], timeoutMs: 250 }), { timeoutMs: 250 }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
  mongodb: async () => {
    const server = await startMongodb()
    return {
      victim: { server, relays: await relaysTo(server.port), isDurable: false },
      open: (relay) => guardStore(createMongodbStore({ url: `mongodb://${relay.address}`, timeoutMs: SLOW_TIMEOUT_MS }), { timeoutMs: SLOW_TIMEOUT_MS }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
}

async function sqlDeployment(
  starting: Promise<Victim['server'] & { readonly port: number; readonly url: string }>,
  create: (options: { url: string; timeoutMs: number; connections: number }) => SessionStore,
): Promise<Deployment> {
  const server = await starting
  const urlOf = (relay: Relay): string => server.url.replace(/127\.0\.0\.1:\d+/, relay.address)
  return {
    victim: { server, relays: await relaysTo(server.port), isDurable: true },
    open: (relay) => guardStore(create({ url: urlOf(relay), timeoutMs: SLOW_TIMEOUT_MS, connections: 4 }), { timeoutMs: SLOW_TIMEOUT_MS }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const GATEWAYS = 3
const SLOW_TIMEOUT_MS = 500
const relaysTo = (port: number): Promise<Relay[]> => Promise.all(Array.from({ length: GATEWAYS }, () => startRelay(port)))

/** Clients on gateways over these stores; the app is the same behind each. */
async function check(stores: readonly SessionStore[], options: Omit<RunOptions, 'gateways' | 'settle'> & Partial<RunOptions>, config: Record<string, unknown> = {}): Promise<Summary> {
  const worlds: World[] = []
  const clients = []
  try {
    for (const store of stores) {
      const world = await startWorld({ store, config })
      world.upstream.respond(checkedApp)
      worlds.push(world)
      clients.push(httpClient(world.url))
    }
    return await runClients({ settle: async () => {}, ...options, gateways: clients })
  } finally {
    for (const client of clients) client.close()
    for (const world of worlds) await world[Symbol.asyncDispose]()
  }
}

function report(what: string, { violations, ...counts }: Summary, injected: Readonly<Record<string, number>> = {}): void {
  const list = (facts: object): string => Object.entries(facts).map(([name, count]) => `${count} ${name}`).join(', ')
  console.log(`checker on ${what}: ${list(counts)}; seed ${SEED}; faults: ${list(injected) || 'none'}; ${violations.length} violations`)
}

describe.each(Object.keys(deployments))('three gateways over %s', (kind) => {
  test('whatever happens to it, nothing acknowledged is lost, nothing ended comes back, nothing goes backwards', async () => {
    await using deployment = await (deployments[kind] as () => Promise<Deployment>)()
    const { victim } = deployment
    const stores = victim.relays.map((relay) => deployment.open(relay))
    await Promise.all(stores.map((store) => waitFor(() => store.ping().then(() => true, () => false), kind, 15_000)))
    const nemesis = startNemesis(victim, { seed: SEED, calmMs: OPERATIONS > 5_000 ? 1_500 : 200 })
    const settle = async (): Promise<void> => {
      await nemesis.stop()
      for (const store of stores) await waitFor(() => store.ping().then(() => true, () => false), `${kind} after the faults`, 15_000)
    }
    const isEnough = ({ rotations, logouts }: Summary): boolean => rotations > 0 && logouts > 0 && Object.values(nemesis.injected).every((count) => count > 0)
    const summary = await check(stores, { operations: OPERATIONS, settle, isEnough }, deployment.config)
    report(kind, summary, nemesis.injected)
    for (const relay of victim.relays) await relay.close()
    expect(summary.violations).toEqual([])
    expect(summary.acknowledged).toBeGreaterThanOrEqual(OPERATIONS)
  }, TIMEOUT_MS)
})

describe('the checker itself', () => {
  const shared = (store: SessionStore): SessionStore[] => [store, { ...store, close: async () => {} }]

  test('finds nothing wrong with a store that is right', async () => {
    const summary = await check(shared(createMemoryStore()), { operations: OPERATIONS })
    report('memory', summary)
    expect(summary.violations).toEqual([])
  }, TIMEOUT_MS)

  test.each([
    ['get, merge, set without compare', withoutCompare, ['lost update', 'forked register', 'went backwards'], { destroyPercent: 0 }],
    ['a late write that makes an ended session anew', withoutTombstones, ['came back'], { destroyPercent: 20, rotatePercent: 0 }],
    ['reads from a replica that is behind', withStaleReads, ['went backwards', 'came back', 'lost update'], {}],
  ] as const)('catches %s', async (_what, flaw, promises, options) => {
    const store = flaw(createMemoryStore())
    const { violations } = await check(shared(store), { operations: 10_000, untilViolation: true, sessions: 3, ...options })
    expect(violations.length).toBeGreaterThan(0)
    expect(promises).toContain(violations[0]?.promise)
  }, 60_000)
})
