import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import type { MysqlStoreOptions } from '../../src/stores/mysql.ts'
import { createMysqlStore } from '../../src/stores/mysql.ts'
import type { MysqlServer } from '../support/servers.ts'
import { startMariadb, startMysql } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

const variants: Record<string, (server: MysqlServer) => MysqlStoreOptions> = {
  'as it comes': (server) => ({ url: server.url }),
  'names that are words of SQL, with a password of its own': (server) => ({
    url: server.url.replace(':a%2Fb@', '@'), password: 'a/b', connections: 1,
    table: 'select', columns: { key: 'Primary', version: 'from', data: 'table', expiresAt: 'where' },
  }),
}

describe.each([['MariaDB', startMariadb], ['MySQL', startMysql]] as const)('mysql on %s', (_name, start) => {
  let server: MysqlServer
  beforeAll(async () => { server = await start() })
  afterAll(() => server[Symbol.asyncDispose]())

  describe.each(Object.keys(variants))('%s', (name) => {
    const open = (clock: MysqlStoreOptions['clock']) => createMysqlStore({ ...variants[name]!(server), timeoutMs: TIMEOUT_MS, ...(clock && { clock }) })
    for (const { name: promise, run } of storeConformance({ open })) test(promise, run)
  })
})
