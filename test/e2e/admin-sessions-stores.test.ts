import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openAdmin } from '../../src/admin/admin.ts'
import { createSessionsApi } from '../../src/admin/sessions-api.ts'
import type { Address } from '../../src/config/address.ts'
import { createMemcachedStore } from '../../src/stores/memcached.ts'
import { createMongodbStore } from '../../src/stores/mongodb.ts'
import { createMysqlStore } from '../../src/stores/mysql.ts'
import { createPostgresStore } from '../../src/stores/postgres.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { httpClient } from '../support/http-client.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startMariadb, startMemcached, startMongodb, startPostgres } from '../support/servers.ts'
import { startWorld, type World } from '../support/world.ts'

const timeoutMs = 5_000

interface Backend extends AsyncDisposable {
  readonly open: () => SessionStore
}

async function served<Server extends AsyncDisposable>(server: Promise<Server>, open: (server: Server) => SessionStore): Promise<Backend> {
  const running = await server
  return { open: () => open(running), [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
}

const backends: Record<string, () => Promise<Backend>> = {
  postgres: () => served(startPostgres(), ({ url }) => createPostgresStore({ url, timeoutMs })),
  mysql: () => served(startMariadb(), ({ url }) => createMysqlStore({ url, timeoutMs })),
  mongodb: () => served(startMongodb(), ({ url }) => createMongodbStore({ url, timeoutMs })),
  sqlite: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'scan-'))
    return {
      open: () => createSqliteStore({ path: join(directory, 'sessions.sqlite') }),
      [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
    }
  },
}

async function operated(store: SessionStore) {
  const world = await startWorld({ store, session: { subject: 'user' } })
  world.upstream.respond(({ target }) => {
    const name = target.split('?')[1]
    return rawResponse({ headers: name ? [['X-Session-Patch', JSON.stringify({ user: name })]] : [], body: 'app' })
  })
  const address: Address = { kind: 'tcp', host: '127.0.0.1', port: await freePort() }
  const admin = await openAdmin(address, {
    readiness: () => Promise.resolve({ isReady: true, causes: [] }), metrics: () => Promise.resolve({ contentType: 'text/plain', text: '' }), jwks: () => ({}),
    api: createSessionsApi({ address, inventory: () => world.gateway.inventory, log: world.gateway.log }),
  })
  const operator = httpClient(`http://127.0.0.1:${address.port}`)
  return {
    world, operator,
    async [Symbol.asyncDispose]() {
      operator.close()
      await admin.close()
      await world[Symbol.asyncDispose]()
    },
  }
}

interface Listed { readonly sessions: readonly { handle: string; subject: string | null }[]; readonly next?: string }

async function login(world: World, name: string): Promise<void> {
  using client = world.newClient()
  await client.get(`/login?${name}`)
}

test.each(Object.keys(backends))('sessions in %s are listed page by page, shown and ended', async (kind) => {
  await using backend = await backends[kind]!()
  const store = backend.open()
  await store.ping()
  await using gate = await operated(store)
  const { world, operator } = gate
  const names = Array.from({ length: 7 }, (_, i) => `user${i}`)
  for (const name of names) await login(world, name)

  const raw = await store.scan!(undefined, 3)
  expect([raw.records.length, raw.next === undefined]).toEqual([3, false])

  const seen: string[] = []
  let next: string | undefined
  do {
    const page = (await operator.get(`/sessions?limit=3${next === undefined ? '' : `&cursor=${encodeURIComponent(next)}`}`)).json<Listed>()
    expect(page.sessions.length).toBeLessThanOrEqual(3)
    seen.push(...page.sessions.map(({ subject }) => subject ?? ''))
    next = page.next
  } while (next !== undefined)
  expect(seen.toSorted()).toEqual(names)

  const [third] = (await operator.get('/sessions?subject=user3')).json<Listed>().sessions
  expect((await operator.get(`/sessions/${third?.handle}?values=1`)).json()).toMatchObject({ data: { user: 'user3' } })
  expect((await operator.delete(`/sessions/${third?.handle}`)).json()).toEqual({ revoked: 1 })
  expect((await operator.get('/sessions')).json<Listed>().sessions.map(({ subject }) => subject).toSorted()).toEqual(names.filter((name) => name !== 'user3'))
  expect((await operator.delete('/sessions?all=1&confirm=all')).json()).toEqual({ revoked: 6 })
  expect((await operator.get('/sessions')).json()).toEqual({ sessions: [] })
}, 30_000)

test('memcached cannot say what it holds, and so the operator is told', async () => {
  await using server = await startMemcached()
  await using gate = await operated(createMemcachedStore({ servers: [server.address] }))
  await login(gate.world, 'ann')
  for (const path of ['/sessions', '/sessions?subject=ann', '/sessions/AAAAAAAAAAAAAAAAAAAAAA']) {
    const reply = await gate.operator.get(path)
    expect([reply.status, reply.json()]).toEqual([501, { error: 'the memcached store cannot be looked through; only the sessions of one subject can be asked for, with session.revocation on' }])
  }
})
