import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import type { SqliteStoreOptions } from '../../src/stores/sqlite.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'

const variants: Record<string, Partial<SqliteStoreOptions>> = {
  'sqlite': {},
  'sqlite, names that are words of SQL': { table: 'select', columns: { key: 'Primary', version: 'from', data: 'table', expiresAt: 'where' } },
}

describe.each(Object.entries(variants))('%s', (_name, options) => {
  const directory = mkdtempSync(join(tmpdir(), 'sessiongate-sqlite-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  const path = join(directory, 'state.d', 'sessions.sqlite')
  for (const { name, run } of storeConformance({ open: (clock) => createSqliteStore({ path, clock, ...options }), scans: true })) test(name, run)
})
