import type { EpochMs } from '../session/session.ts'
import type { MigrationSource, SourceRecord } from './source.ts'
import { SourceError } from './source.ts'

/** What reading Flask-Session's table needs of a database. Nothing in it is changed. */
export interface SqlReader {
  /** The rows, each an array in the order of the SELECT. Parameters stand as `?`. */
  select(text: string, values: readonly (string | number)[]): Promise<readonly (readonly unknown[])[]>
  quote(identifier: string): string
  /** The naive UTC time in this column as ms since 1970. */
  msOf(column: string): string
  close(): Promise<void>
}

const BATCH = 500
const FIRST = ''
const NEVER_OPENED = 0 as EpochMs
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/

export function isTableName(text: string): boolean {
  const parts = text.split('.')
  return parts.length <= 2 && parts.every((part) => IDENTIFIER.test(part))
}

/**
 * Flask-Session in SQL: a row per session with `session_id` (prefix and sid, unique), `data`, and `expiry`, a naive UTC time. A row
 * whose expiry is NULL is one that no version of Flask-Session opens. `url` as the app has it in SQLALCHEMY_DATABASE_URI; `table` may
 * have a schema before it.
 */
export async function openSqlSource(url: string, table: string, keyPrefix: string): Promise<MigrationSource> {
  const reader = await openReader(url)
  const { quote } = reader
  const from = table.split('.').map(quote).join('.')
  const [id, data, expiry] = ['session_id', 'data', 'expiry'].map(quote) as [string, string, string]

  async function select(text: string, values: readonly (string | number)[] = []): Promise<readonly (readonly unknown[])[]> {
    try {
      return await reader.select(text, values)
    } catch (error) {
      throw unreadable(error)
    }
  }

  try {
    const [[total] = []] = await select(`SELECT count(*) FROM ${from}`)
    return {
      by: 'sid',
      total: Number(total),
      async* records() {
        let last = FIRST
        let rows: readonly (readonly unknown[])[]
        do {
          rows = await select(`SELECT ${id}, ${data}, ${reader.msOf(expiry)} FROM ${from} WHERE ${id} > ? ORDER BY ${id} LIMIT ${BATCH}`, [last])
          for (const row of rows) {
            last = String(row[0])
            if (last.startsWith(keyPrefix)) yield recordOf(last.slice(keyPrefix.length), row)
          }
        } while (rows.length === BATCH)
      },
      close: () => reader.close(),
    }
  } catch (error) {
    await reader.close()
    throw error
  }
}

function recordOf(name: string, [, data, expiry]: readonly unknown[]): SourceRecord {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data instanceof Uint8Array ? data : new Uint8Array(0)
  return { name, bytes, expiresAt: expiry === null ? NEVER_OPENED : Math.floor(Number(expiry)) as EpochMs }
}

/** The scheme as SQLAlchemy has it: `postgresql+psycopg2://` is a PostgreSQL. */
async function openReader(url: string): Promise<SqlReader> {
  const [, kind = '', rest = ''] = /^([a-z]+)(?:\+[a-z0-9]+)?:\/\/(.*)$/s.exec(url) ?? []
  try {
    switch (kind) {
      case 'postgres':
      case 'postgresql': return await (await import('./postgres-reader.ts')).openPostgresReader(`postgres://${rest}`)
      case 'mysql':
      case 'mariadb': return await (await import('./mysql-reader.ts')).openMysqlReader(`mysql://${rest}`)
      default: return (await import('./sqlite-reader.ts')).openSqliteReader(rest.replace(/^\//, ''))
    }
  } catch (error) {
    throw unreadable(error)
  }
}

function unreadable(error: unknown): SourceError {
  const reason = error instanceof Error ? error.message || ('code' in error ? String(error.code) : error.name) : 'unknown'
  return new SourceError(`the database to migrate from cannot be read: ${reason}`, { cause: error })
}
