import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { Entries, Entry } from './entry-store.ts'
import { createEntryStore } from './entry-store.ts'
import { StoreRefusal } from './refusal.ts'
import type { SqlDatabase, SqlDialect, SqlNames, SqlResult, SqlValue } from './sql-dialect.ts'
import { SqlRefusal, sqlStatementsOf } from './sql-dialect.ts'
import { startBatchSweeper } from './batch-sweeper.ts'
import type { SessionStore } from './store.ts'

/** Options that all SQL stores share. */
export interface SqlStoreOptions extends Partial<SqlNames> {
  /** Make the table where it is missing. Default true. */
  readonly migrate?: boolean
  /** How often expired rows are deleted. Default 60 s. */
  readonly sweepIntervalMs?: number
  /** How long a statement is tried again while the database is busy; what is waited for an answer. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

export interface SqlBackend {
  readonly kind: string
  readonly database: SqlDatabase
  readonly dialect: SqlDialect
}

const DEFAULT_TABLE = 'sessiongate_sessions'
const DEFAULT_COLUMNS: SqlNames['columns'] = { key: 'session_key', version: 'version', data: 'data', expiresAt: 'expires_at' }
const DEFAULT_TIMEOUT_MS = 500
const SWEEP_LIMIT = 500
/** Rows go only when they are dead by this much, so that a gateway whose clock is ahead does not end what others serve. */
const SWEEP_GRACE_MS = 60_000
const MAX_BUSY_PAUSE_MS = 10
/** No key is empty. */
const NO_KEY = ''

/** Sessions in one table, a row each: a record, or a tombstone (data is NULL). A replace is one UPDATE that names the expected version. */
export function createSqlStore({ kind, database, dialect }: SqlBackend, options: SqlStoreOptions): SessionStore {
  const { schema, table = DEFAULT_TABLE, columns = DEFAULT_COLUMNS, clock = systemClock } = options
  const { migrate = true, sweepIntervalMs = 60_000, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const statements = sqlStatementsOf(dialect, { schema, table, columns }, SWEEP_LIMIT)
  let migrating: Promise<void> | undefined

  /** Runs a statement; makes the table when it is missing, and tries again while the database is busy. */
  async function run(text: string, values: readonly SqlValue[]): Promise<SqlResult> {
    const startedAt = performance.now()
    let hasMigrated = false
    for (let attempt = 1; ; attempt++) {
      try {
        return await database.run(text, values)
      } catch (error) {
        if (!(error instanceof SqlRefusal)) throw error
        if (error.meaning === 'missing table' && migrate && !hasMigrated) {
          hasMigrated = true
          await (migrating ??= makeTable().finally(() => { migrating = undefined }))
        } else if (error.meaning === 'busy' && performance.now() - startedAt < timeoutMs) {
          await sleep(Math.random() * Math.min(attempt, MAX_BUSY_PAUSE_MS))
        } else {
          throw error
        }
      }
    }
  }

  async function makeTable(): Promise<void> {
    for (const statement of statements.create) {
      try {
        await database.run(statement, [])
      } catch (error) {
        if (!(error instanceof SqlRefusal && error.meaning === 'exists')) throw error    // another process was first
      }
    }
  }

  const entries: Entries = {
    async read(key) {
      const [row] = (await run(statements.read, [key])).rows
      return row && entryOf(row)
    },
    async readAll(keys) {
      const { text, width } = statements.readAll.find(({ width }) => width >= keys.length)!
      const { rows } = await run(text, Array.from({ length: width }, (_, index) => keys[index] ?? NO_KEY))
      return new Map(rows.map((row) => [keyOf(row[3]), entryOf(row)]))
    },
    async page(after, limit) {
      const { rows } = await run(statements.page, [after, String(limit)])       // as text: MySQL refuses a double for a LIMIT
      return rows.map((row) => [keyOf(row[3]), entryOf(row)])
    },
    async insert(key, { version, bytes, expiresAt }) {
      return (await run(statements.insert, [key, version, bytes ?? null, expiresAt])).changes === 1
    },
    async overwrite(key, expected, { version, bytes, expiresAt }, aliveAt) {
      const { changes, isRepeated } = await run(statements.overwrite, [version, bytes ?? null, expiresAt, key, expected, aliveAt])
      return changes === 1 ? 'done' : isRepeated ? 'perhaps' : 'none'
    },
    async touch(key, expiresAt, now) {
      await run(statements.touch, [expiresAt, key, now])
    },
    async ping() {
      await run(statements.touch, [0, NO_KEY, 0])                   // an UPDATE of no row: a replica refuses it
    },
    async close() {
      sweeper.stop()
      await database.close()
    },
  }

  const sweeper = startBatchSweeper({
    sweep: async () => (await run(statements.sweep, [clock() - SWEEP_GRACE_MS])).changes,
    limit: SWEEP_LIMIT,
    intervalMs: sweepIntervalMs,
  })
  return createEntryStore(kind, entries, clock)
}

function entryOf([version, bytes, expiresAt]: readonly unknown[]): Entry {
  const isOurs = (typeof version === 'string' || version instanceof Uint8Array) && (bytes === null || bytes instanceof Uint8Array)
  const instant = Number(expiresAt)
  if (!isOurs || expiresAt === null || !Number.isFinite(instant)) {
    throw otherTypes()
  }
  return { version: textOf(version) as Version, bytes: bytes ?? undefined, expiresAt: instant as EpochMs }
}

function keyOf(key: unknown): string {
  if (typeof key !== 'string' && !(key instanceof Uint8Array)) throw otherTypes()
  return textOf(key)
}

function textOf(column: string | Uint8Array): string {
  return typeof column === 'string' ? column : Buffer.from(column).toString('latin1')
}

function otherTypes(): StoreRefusal {
  return new StoreRefusal('the row holds values of other types: see "the table" in docs/stores.md')
}
