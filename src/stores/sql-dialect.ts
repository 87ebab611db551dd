import { MAX_BATCH } from './batches.ts'
import { StoreRefusal } from './refusal.ts'

export type SqlValue = string | number | Uint8Array | null

export interface SqlResult {
  /** In the order of the SELECT. */
  readonly rows: readonly (readonly unknown[])[]
  /** Rows inserted, updated or deleted. */
  readonly changes: number
  /** It may have been carried out before: the connection was lost under it, and it was sent again. */
  readonly isRepeated?: boolean
}

/** Rejects with a SqlRefusal when the server answered an error, with anything else when it did not answer. */
export interface SqlDatabase {
  run(text: string, values: readonly SqlValue[]): Promise<SqlResult>
  close(): Promise<void>
}

/**
 * `exists`: what was to be made is there already. `busy`: the same statement may succeed in a moment (a deadlock, a lock of another
 * process). `read only`: another server takes writes. `final`: all else.
 */
export type SqlRefusalMeaning = 'missing table' | 'exists' | 'busy' | 'read only' | 'final'

export class SqlRefusal extends StoreRefusal {
  constructor(message: string, readonly meaning: SqlRefusalMeaning, cause: unknown) {
    super(message, { cause })
  }
}

/** The operator's names, unquoted. */
export interface SqlNames {
  readonly schema?: string | undefined
  readonly table: string
  readonly columns: { readonly key: string; readonly version: string; readonly data: string; readonly expiresAt: string }
}

/** The same, ready to stand in a statement. */
export interface QuotedNames {
  readonly table: string
  /** Of the index on the expiry, of at most 63 characters. */
  readonly index: string
  readonly key: string
  readonly version: string
  readonly data: string
  readonly expiresAt: string
}

/** What differs between databases. Everything else is the same SQL. */
export interface SqlDialect {
  quote(identifier: string): string
  /** The parameter at this position, from 1. */
  parameter(position: number): string
  /** The data column as a SELECT asks for it. */
  readable(data: string): string
  /** Makes an INSERT change nothing, and say 0 changes, where the key exists. */
  unlessExists(insert: string, names: QuotedNames): string
  /** Deletes at most `limit` rows, dead at its one parameter. */
  sweep(names: QuotedNames, limit: number): string
  /** Statements that make the table and the index where they are missing. */
  create(names: QuotedNames): readonly string[]
}

export interface SqlStatements {
  /** key -> version, data, expiry */
  readonly read: string
  /** As many keys as its width, narrowest first -> of those that are there, in any order: version, data, expiry, key */
  readonly readAll: readonly { readonly width: number; readonly text: string }[]
  /** key, how many at most -> of the keys after it, in their order: version, data, expiry, key */
  readonly page: string
  /** key, version, data, expiry */
  readonly insert: string
  /** new version, data, expiry; key, expected version, instant it must outlive */
  readonly overwrite: string
  /** expiry; key, instant it must outlive */
  readonly touch: string
  /** instant at which rows are dead */
  readonly sweep: string
  readonly create: readonly string[]
}

const INDEX_SUFFIX = '_expiry'
const MAX_IDENTIFIER = 63
/** A server prepares each statement: so a few widths serve all numbers of keys. */
const WIDTHS = [2, 4, 8, 16, 32, MAX_BATCH]

export function sqlStatementsOf(dialect: SqlDialect, { schema, table, columns }: SqlNames, sweepLimit: number): SqlStatements {
  const { quote } = dialect
  const names: QuotedNames = {
    table: schema === undefined ? quote(table) : `${quote(schema)}.${quote(table)}`,
    index: quote(table.slice(0, MAX_IDENTIFIER - INDEX_SUFFIX.length) + INDEX_SUFFIX),
    key: quote(columns.key), version: quote(columns.version), data: quote(columns.data), expiresAt: quote(columns.expiresAt),
  }
  const { key, version, data, expiresAt } = names
  const numbered = (statement: string) => {
    let position = 0
    return statement.replace(/\?/g, () => dialect.parameter(++position))
  }
  const entry = `${version}, ${dialect.readable(data)}, ${expiresAt}`
  return {
    read: numbered(`SELECT ${entry} FROM ${names.table} WHERE ${key} = ?`),
    readAll: WIDTHS.map((width) => ({ width, text: numbered(`SELECT ${entry}, ${key} FROM ${names.table} WHERE ${key} IN (${Array(width).fill('?').join(', ')})`) })),
    page: numbered(`SELECT ${entry}, ${key} FROM ${names.table} WHERE ${key} > ? ORDER BY ${key} LIMIT ?`),
    insert: numbered(dialect.unlessExists(`INSERT INTO ${names.table} (${key}, ${version}, ${data}, ${expiresAt}) VALUES (?, ?, ?, ?)`, names)),
    overwrite: numbered(`UPDATE ${names.table} SET ${version} = ?, ${data} = ?, ${expiresAt} = ? WHERE ${key} = ? AND ${version} = ? AND ${expiresAt} > ?`),
    touch: numbered(`UPDATE ${names.table} SET ${expiresAt} = ? WHERE ${key} = ? AND ${data} IS NOT NULL AND ${expiresAt} > ?`),
    sweep: numbered(dialect.sweep(names, sweepLimit)),
    create: dialect.create(names),
  }
}
