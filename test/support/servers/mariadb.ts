import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { freePort } from '../ports.ts'
import type { ServerProcess } from './process.ts'
import { findBinary, serverDirectory, startServer } from './process.ts'

export interface MariadbServer extends ServerProcess {
  readonly port: number
  /** mysql://gate:a%2Fb@127.0.0.1:port/sessions */
  readonly url: string
  /** One statement as root; its rows. */
  query(text: string): Promise<unknown[][]>
}

/** A MariaDB of its own, whose files need not survive the machine. `args` are further options. */
export async function startMariadb(...args: string[]): Promise<MariadbServer> {
  const port = await freePort()
  const directory = serverDirectory()
  const data = join(directory, 'data')
  const socket = join(directory, 'mariadb.sock')
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  execFileSync(findBinary('mariadb-install-db', 'mariadb-server'), [
    '--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve', ...asRoot,
  ], { stdio: 'pipe' })
  const server = await startServer({
    binary: 'mariadbd',
    debianPackage: 'mariadb-server',
    args: [
      '--no-defaults', ...asRoot, `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1',
      '--innodb-flush-log-at-trx-commit=2', '--innodb-buffer-pool-size=32M', '--skip-name-resolve', ...args,
    ],
    directory,
    isUp: async () => { await query(socket, 'SELECT 1') },
  })
  if ((await query(socket, `SHOW DATABASES LIKE 'sessions'`)).length === 0) {
    for (const text of ['CREATE DATABASE sessions', `CREATE USER gate@'%' IDENTIFIED BY 'a/b'`, 'GRANT ALL ON sessions.* TO gate@\'%\'']) await query(socket, text)
  }
  return Object.assign(server, { port, url: `mysql://gate:a%2Fb@127.0.0.1:${port}/sessions`, query: (text: string) => query(socket, text) })
}

async function query(socketPath: string, sql: string): Promise<unknown[][]> {
  const connection = await createConnection({ socketPath, user: 'root', rowsAsArray: true })
  try {
    const [rows] = await connection.query({ sql, rowsAsArray: true })
    return Array.isArray(rows) ? rows as unknown[][] : []
  } finally {
    connection.destroy()
  }
}
