import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import type { PostgresStoreOptions } from '../../src/stores/postgres.ts'
import { createPostgresStore } from '../../src/stores/postgres.ts'
import type { PostgresServer } from '../support/servers.ts'
import { startPostgres } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE SCHEMA "Other"')
})
afterAll(() => server[Symbol.asyncDispose]())

const variants: Record<string, () => PostgresStoreOptions> = {
  'postgres': () => ({ url: server.url }),
  'postgres, by its unix socket, with a password of its own': () => ({
    url: `postgres:///postgres?host=${server.socketDirectory}&port=${server.port}&user=gate`, password: 'a/b', table: 'by_socket', connections: 1,
  }),
  'postgres, names that are words of SQL, in a schema': () => ({
    url: server.url, schema: 'Other', table: 'select', columns: { key: 'Primary', version: 'from', data: 'table', expiresAt: 'where' },
  }),
}

describe.each(Object.keys(variants))('%s', (name) => {
  const open = (clock: PostgresStoreOptions['clock']) => createPostgresStore({ ...variants[name]!(), timeoutMs: TIMEOUT_MS, ...(clock && { clock }) })
  for (const { name: promise, run } of storeConformance({ open, scans: true })) test(promise, run)
})
