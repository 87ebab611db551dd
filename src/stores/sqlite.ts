import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { StatementSyncInstance } from '@photostructure/sqlite'
import { DatabaseSync } from '@photostructure/sqlite'
import { StoreUnavailableError } from '../errors.ts'
import type { SqlDatabase, SqlDialect, SqlRefusalMeaning, SqlValue } from './sql-dialect.ts'
import { SqlRefusal } from './sql-dialect.ts'
import type { SqlStoreOptions } from './sql.ts'
import { createSqlStore } from './sql.ts'
import type { SessionStore } from './store.ts'

export interface SqliteStoreOptions extends Omit<SqlStoreOptions, 'schema'> {
  /** The database file; made with mode 0600 when missing, its directory with 0700. */
  readonly path: string
}

const OPEN_TIMEOUT_MS = 5_000

/**
 * Sessions in a SQLite file, shared by the processes of one machine. Statements run in this thread: microseconds, as long as the disk
 * keeps up. A write survives a killed process; a power cut may undo the last ones, and leaves the file sound. Throws
 * StoreUnavailableError when the file cannot be used.
 */
export function createSqliteStore(options: SqliteStoreOptions): SessionStore {
  const { timeoutMs = 2_000 } = options
  const database = openDatabase(options.path)
  return createSqlStore({ kind: 'sqlite', database, dialect: sqliteDialect }, { ...options, timeoutMs })
}

const sqliteDialect: SqlDialect = {
  quote: (identifier) => `"${identifier}"`,
  parameter: () => '?',
  readable: (data) => data,
  unlessExists: (insert) => `${insert} ON CONFLICT DO NOTHING`,
  sweep: ({ table, key, expiresAt }, limit) =>
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${expiresAt} <= ? ORDER BY ${expiresAt} LIMIT ${limit})`,
  create: ({ table, index, key, version, data, expiresAt }) => [
    `CREATE TABLE IF NOT EXISTS ${table} (${key} TEXT PRIMARY KEY, ${version} TEXT NOT NULL, ${data} BLOB, ${expiresAt} INTEGER NOT NULL)`,
    `CREATE INDEX IF NOT EXISTS ${index} ON ${table} (${expiresAt})`,
  ],
}

function openDatabase(path: string): SqlDatabase {
  const database = opening(path)
  const statements = new Map<string, StatementSyncInstance>()

  function prepared(text: string): StatementSyncInstance {
    const known = statements.get(text)
    if (known) return known
    const statement = database.prepare(text)
    statement.setReturnArrays(true)
    statements.set(text, statement)
    return statement
  }

  return {
    // async, so that whatever is thrown rejects
    // eslint-disable-next-line @typescript-eslint/require-await
    async run(text: string, values: readonly SqlValue[]) {
      try {
        const statement = prepared(text)
        if (text.startsWith('SELECT')) return { rows: statement.all(...values) as unknown as unknown[][], changes: 0 }
        return { rows: [], changes: Number(statement.run(...values).changes) }
      } catch (error) {
        throw refusalOf(error as SqliteError)
      }
    },

    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      statements.clear()
      database.close()
    },
  }
}

/** In WAL mode readers and a writer do not wait for each other; two writers do, and not in here: `run` says busy at once. */
function opening(path: string): InstanceType<typeof DatabaseSync> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
    const database = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS })
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 0')
    return database
  } catch (error) {
    throw new StoreUnavailableError('sqlite', 'open', new SqlRefusal(`${path}: ${(error as Error).message}`, 'final', error))
  }
}

type SqliteError = Error & { readonly errcode?: number }

/** Primary result codes (sqlite.org/rescode.html). Every answer is a refusal: there is no server to be away. */
const MEANINGS: Readonly<Record<number, SqlRefusalMeaning>> = { 5: 'busy', 6: 'busy', 8: 'read only' }

function refusalOf(error: SqliteError): SqlRefusal {
  const { errcode = 0, message } = error
  const isMissing = message.startsWith('no such table')
  return new SqlRefusal(isMissing ? `${message} (create it, or set store.migrate)` : message, isMissing ? 'missing table' : MEANINGS[errcode & 0xff] ?? 'final', error)
}
