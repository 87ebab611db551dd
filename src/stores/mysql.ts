import { isIP } from 'node:net'
import { createConnection } from 'mysql2'
import type { QueryError, ResultSetHeader, SslOptions } from 'mysql2'
import { connectTimeoutOf } from './connect-timeout.ts'
import type { SqlDialect, SqlRefusalMeaning, SqlResult } from './sql-dialect.ts'
import { SqlRefusal } from './sql-dialect.ts'
import type { SqlConnection } from './sql-pool.ts'
import type { SqlServerOptions } from './sql-server.ts'
import { createSqlServerStore } from './sql-server.ts'
import type { SqlTls } from './sql-url.ts'
import type { SessionStore } from './store.ts'

export interface MysqlStoreOptions extends Omit<SqlServerOptions, 'schema'> {
  /** `mysql://[user[:password]@]host[:port]/database`; more options of the driver as query parameters. */
  readonly url: string
  /** The name of the server is verified too, unless the URL has an address instead: the driver cannot compare that. */
  readonly tls?: SqlTls | undefined
}


/** Sessions in a MySQL or MariaDB table (InnoDB). Returns at once and connects in the background: `ping` tells when it serves. */
export function createMysqlStore(options: MysqlStoreOptions): SessionStore {
  return createSqlServerStore({ kind: 'mysql', dialect: mysqlDialect, connect }, options)
}

const mysqlDialect: SqlDialect = {
  quote: (identifier) => `\`${identifier}\``,
  parameter: () => '?',
  readable: (data) => data,
  unlessExists: (insert, { key }) => `${insert} ON DUPLICATE KEY UPDATE ${key} = ${key}`,
  sweep: ({ table, expiresAt }, limit) => `DELETE FROM ${table} WHERE ${expiresAt} <= ? ORDER BY ${expiresAt} LIMIT ${limit}`,
  // Binary columns: other collations take "a", "A" and "a " for the same key.
  create: ({ table, index, key, version, data, expiresAt }) => [
    `CREATE TABLE IF NOT EXISTS ${table} (${key} varbinary(255) PRIMARY KEY, ${version} varbinary(64) NOT NULL, ${data} longblob, `
    + `${expiresAt} bigint NOT NULL, INDEX ${index} (${expiresAt})) ENGINE=InnoDB`,
  ],
}

/** Truncation is an error, no gap is locked, and nobody waits for a lock longer than the shortest time the server knows. */
const SETTINGS = `sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = 1`

/** MariaDB also gives up what nobody waits for any more; MySQL cannot do that with a write. */
const sessionOf = {
  mariadb: (timeoutMs: number) => `SET SESSION ${SETTINGS}, tx_isolation = 'READ-COMMITTED', max_statement_time = ${timeoutMs / 1_000}`,
  mysql: () => `SET SESSION ${SETTINGS}, transaction_isolation = 'READ-COMMITTED'`,
}

async function connect(uri: string, tls: SqlTls | undefined, timeoutMs: number, onLost: (error?: Error) => void): Promise<SqlConnection> {
  const connection = createConnection({
    uri,
    ...(tls && { ssl: { ...tls, verifyIdentity: isIP(new URL(uri).hostname) === 0 } as SslOptions }),
    connectTimeout: connectTimeoutOf(timeoutMs),
    flags: ['-FOUND_ROWS'],                                         // a statement that changes nothing says so
    rowsAsArray: true,
  })
  connection.on('error', onLost)
  connection.on('end', () => onLost())

  const set = (settings: string) => new Promise<void>((resolve, reject) => {
    connection.query(settings, (error) => error ? reject(error) : resolve())
  })
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => error ? reject(error) : resolve())
    })
    await set(sessionOf.mariadb(timeoutMs)).catch(() => set(sessionOf.mysql()))
  } catch (error) {
    connection.destroy()
    throw new Error(explain(error as QueryError), { cause: error })
  }
  return {
    run: (text, values) => new Promise((resolve, reject) => {
      connection.execute(text, values as never, (error: QueryError | null, result: unknown) => {
        if (error) reject(refusalOf(error))
        else resolve(resultOf(result as readonly (readonly unknown[])[] | ResultSetHeader))
      })
    }),
    destroy: () => connection.destroy(),
  }
}

function resultOf(result: readonly (readonly unknown[])[] | ResultSetHeader): SqlResult {
  return 'affectedRows' in result ? { rows: [], changes: result.affectedRows } : { rows: result, changes: 0 }
}

/** Error numbers of MySQL and MariaDB -> what they mean. */
const MEANINGS: Readonly<Record<number, SqlRefusalMeaning>> = {
  1146: 'missing table', 1050: 'exists', 1061: 'exists',
  1213: 'busy', 1205: 'busy', 1020: 'busy',
  1290: 'read only', 1792: 'read only', 1836: 'read only',
}
const REMEDIES: Readonly<Record<number, string>> = {
  1146: 'create the table, or set store.migrate',
  1054: 'a column is missing: see store.columns',
  1142: 'the user lacks a privilege', 1044: 'the user may not use this database',
  1290: 'this server is read-only: connect to the primary', 1792: 'this server is read-only: connect to the primary', 1836: 'this server is read-only: connect to the primary',
  1045: 'the user name or password is refused', 1049: 'there is no such database',
  1021: 'its disk is full', 1114: 'the table or its disk is full', 1040: 'it has no connection left',
  1153: 'raise max_allowed_packet, or lower session.maxBytes', 1406: 'a column is too short: see "the table" in docs/stores.md',
}
/** The statement was not refused: the server is going down, or the connection was killed, or the statement for its time. */
const NO_ANSWER = new Set([1040, 1053, 1152, 1927, 1969, 3024])

function refusalOf(error: QueryError): Error {
  const { errno, fatal } = error
  if (fatal || errno === undefined || error.sqlState === undefined || NO_ANSWER.has(errno)) return error
  return new SqlRefusal(explain(error), MEANINGS[errno] ?? 'final', error)
}

function explain({ errno = 0, message }: QueryError): string {
  const remedy = REMEDIES[errno]
  return remedy ? `${message} (${remedy})` : message
}
