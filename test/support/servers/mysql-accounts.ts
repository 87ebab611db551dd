import { createConnection } from 'mysql2/promise'
import type { ServerProcess } from './process.ts'

/** A MySQL or MariaDB of its own. */
export interface MysqlServer extends ServerProcess {
  readonly port: number
  /** mysql://gate:a%2Fb@127.0.0.1:port/sessions */
  readonly url: string
  /** One statement as root; its rows. */
  query(text: string): Promise<unknown[][]>
}

/** With a database and a user for the gateway, where there are none yet. */
export async function withAccounts(server: ServerProcess, port: number, socket: string): Promise<MysqlServer> {
  if ((await query(socket, `SHOW DATABASES LIKE 'sessions'`)).length === 0) {
    for (const text of ['CREATE DATABASE sessions', `CREATE USER gate@'%' IDENTIFIED BY 'a/b'`, 'GRANT ALL ON sessions.* TO gate@\'%\'']) await query(socket, text)
  }
  return Object.assign(server, { port, url: `mysql://gate:a%2Fb@127.0.0.1:${port}/sessions`, query: (text: string) => query(socket, text) })
}

/** As root, who needs no password on the server's own socket. */
export async function query(socketPath: string, sql: string): Promise<unknown[][]> {
  const connection = await createConnection({ socketPath, user: 'root', rowsAsArray: true })
  try {
    const [rows] = await connection.query({ sql, rowsAsArray: true })
    return Array.isArray(rows) ? rows as unknown[][] : []
  } finally {
    connection.destroy()
  }
}
