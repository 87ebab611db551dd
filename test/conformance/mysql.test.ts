import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import type { MysqlStoreOptions } from '../../src/stores/mysql.ts'
import { createMysqlStore } from '../../src/stores/mysql.ts'
import type { MariadbServer } from '../support/servers.ts'
import { startMariadb } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

let server: MariadbServer
beforeAll(async () => { server = await startMariadb() })
afterAll(() => server[Symbol.asyncDispose]())

const variants: Record<string, () => MysqlStoreOptions> = {
  'mysql': () => ({ url: server.url }),
  'mysql, names that are words of SQL, with a password of its own': () => ({
    url: server.url.replace(':a%2Fb@', '@'), password: 'a/b', connections: 1,
    table: 'select', columns: { key: 'Primary', version: 'from', data: 'table', expiresAt: 'where' },
  }),
}

describe.each(Object.keys(variants))('%s', (name) => {
  const open = (clock: MysqlStoreOptions['clock']) => createMysqlStore({ ...variants[name]!(), timeoutMs: TIMEOUT_MS, ...(clock && { clock }) })
  for (const { name: promise, run } of storeConformance({ open })) test(promise, run)
})
