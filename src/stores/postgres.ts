import { Socket } from 'node:net'
import type { QueryArrayResult } from 'pg'
import { Client } from 'pg'
import { connectTimeoutOf } from './connect-timeout.ts'
import type { QuotedNames, SqlDialect, SqlRefusalMeaning, SqlResult } from './sql-dialect.ts'
import { SqlRefusal } from './sql-dialect.ts'
import type { SqlConnection } from './sql-pool.ts'
import type { SqlServerOptions } from './sql-server.ts'
import { createSqlServerStore } from './sql-server.ts'
import type { SqlTls } from './sql-url.ts'
import type { SessionStore } from './store.ts'

export interface PostgresStoreOptions extends SqlServerOptions {
  /** `postgres://[user[:password]@]host[:port]/database[?sslmode=...]`; a unix socket as `?host=/run/postgresql`. */
  readonly url: string
}


/** Sessions in a PostgreSQL table. Returns at once and connects in the background: `ping` tells when it serves. */
export function createPostgresStore(options: PostgresStoreOptions): SessionStore {
  return createSqlServerStore({ kind: 'postgres', dialect: postgresDialect, connect }, options)
}

const postgresDialect: SqlDialect = {
  quote: (identifier) => `"${identifier}"`,
  parameter: (position) => `$${position}`,
  readable: (data) => `encode(${data}, 'base64')`,
  unlessExists: (insert) => `${insert} ON CONFLICT DO NOTHING`,
  sweep: ({ table, key, expiresAt }, limit) => `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${expiresAt} <= ? `
    + `ORDER BY ${expiresAt} LIMIT ${limit} FOR UPDATE SKIP LOCKED)`,
  create: ({ table, index, key, version, data, expiresAt }: QuotedNames) => [
    `CREATE TABLE IF NOT EXISTS ${table} (${key} text COLLATE "C" PRIMARY KEY, ${version} text NOT NULL, ${data} bytea, ${expiresAt} bigint NOT NULL)`,
    `CREATE INDEX IF NOT EXISTS ${index} ON ${table} (${expiresAt})`,
  ],
}

async function connect(url: string, tls: SqlTls | undefined, timeoutMs: number, onLost: (error?: Error) => void): Promise<SqlConnection> {
  const socket = new Socket()
  const client = new Client({
    connectionString: url,
    ...(tls && { ssl: tls }),
    stream: () => socket,
    statement_timeout: timeoutMs,                                   // what nobody waits for any more is not done either
    connectionTimeoutMillis: connectTimeoutOf(timeoutMs),
    application_name: 'sessiongate',
  })
  client.on('error', onLost)
  client.on('end', () => onLost())
  try {
    await client.connect()
  } catch (error) {
    socket.destroy()
    throw new Error(explain(error as PostgresError), { cause: error })
  }

  return {
    run: (text, values) => new Promise((resolve, reject) => {
      client.query({ text, values: values as unknown[], rowMode: 'array' }, (error: PostgresError | null, result: QueryArrayResult<ResultRow>) => {
        if (error) reject(refusalOf(error))
        else resolve(resultOf(result))
      })
    }),
    destroy: () => void socket.destroy(),
  }
}

/** Version, data, expiry, and more. The data comes as base64: half the size of PostgreSQL's own form of bytes, whatever bytea_output is set to. */
type ResultRow = [string, string | null, ...string[]]

function resultOf({ rows, rowCount }: QueryArrayResult<ResultRow>): SqlResult {
  return { rows: rows.map(([version, data, ...others]) => [version, data === null ? null : Buffer.from(data, 'base64'), ...others]), changes: rowCount ?? 0 }
}

type PostgresError = Error & { readonly code?: string; readonly severity?: string }

/** SQLSTATE -> what it means (PostgreSQL manual, appendix A). */
const MEANINGS: Readonly<Record<string, SqlRefusalMeaning>> = {
  '42P01': 'missing table',
  '42P07': 'exists', '42710': 'exists', '23505': 'exists',           // two processes that make the same table, or its row type
  '40001': 'busy', '40P01': 'busy', '55P03': 'busy',
  '25006': 'read only',
}
const REMEDIES: Readonly<Record<string, string>> = {
  '42P01': 'create the table, or set store.migrate',
  '42703': 'a column is missing: see store.columns',
  '42501': 'the user lacks a privilege',
  '25006': 'this server is a replica: connect to the primary',
  '28P01': 'the user name or password is refused',
  '28000': 'the user may not connect',
  '3D000': 'there is no such database',
  '53100': 'its disk is full',
  '53300': 'it has no connection left',
}
/** The statement was not refused: the server or its time ran out. 57014 query_canceled, 57P01.. shutdown, 08 connection, 53300. */
const NO_ANSWER = /^(57|08|53300)/

function refusalOf(error: PostgresError): Error {
  const { code = '', severity } = error
  if (severity !== 'ERROR' || NO_ANSWER.test(code)) return error    // without a severity it is the network's
  return new SqlRefusal(explain(error), MEANINGS[code] ?? 'final', error)
}

function explain({ code = '', message }: PostgresError): string {
  const remedy = REMEDIES[code]
  return remedy ? `${message} (${remedy})` : message
}
