import type { SqlDialect } from './sql-dialect.ts'
import { createSqlPool, type SqlConnection } from './sql-pool.ts'
import { withPassword, type SqlTls } from './sql-url.ts'
import { createSqlStore, type SqlStoreOptions } from './sql.ts'
import type { SessionStore } from './store.ts'

/** A database that is reached over connections of its own protocol. */
export interface SqlServerOptions extends SqlStoreOptions {
  readonly url: string
  readonly password?: string | undefined
  readonly tls?: SqlTls | undefined
  /** Connections at most. Default 10. */
  readonly connections?: number
}

export interface SqlServer {
  readonly kind: 'postgres' | 'mysql'
  readonly dialect: SqlDialect
  /** Opens one connection; as in SqlPoolOptions. */
  connect(url: string, tls: SqlTls | undefined, timeoutMs: number, onLost: (error?: Error) => void): Promise<SqlConnection>
}

/** Returns at once and connects in the background: `ping` tells when it serves. */
export function createSqlServerStore({ kind, dialect, connect }: SqlServer, options: SqlServerOptions): SessionStore {
  const { connections = 10, timeoutMs = 500 } = options
  const url = withPassword(options.url, options.password)
  const database = createSqlPool({ connect: (onLost) => connect(url, options.tls, timeoutMs, onLost), size: connections, timeoutMs })
  return createSqlStore({ kind, database, dialect }, { ...options, timeoutMs })
}
