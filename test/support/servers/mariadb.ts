import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { freePort } from '../ports.ts'
import { query, withAccounts, type MysqlServer } from './mysql-accounts.ts'
import { findBinary, serverDirectory, startServer } from './process.ts'

/** A MariaDB of its own, whose files need not survive the machine. `args` are further options. */
export async function startMariadb(...args: string[]): Promise<MysqlServer> {
  const port = await freePort()
  const directory = serverDirectory()
  const data = join(directory, 'data')
  const socket = join(directory, 'mariadb.sock')
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  execFileSync(findBinary('mariadb-install-db', 'mariadb-server'), [
    '--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve', `--tmpdir=${directory}`, ...asRoot,
  ], { stdio: 'pipe' })
  const server = await startServer({
    binary: 'mariadbd',
    debianPackage: 'mariadb-server',
    args: [
      '--no-defaults', ...asRoot, `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1', `--tmpdir=${directory}`,
      '--innodb-flush-log-at-trx-commit=2', '--innodb-buffer-pool-size=32M', '--skip-name-resolve', ...args,
    ],
    directory,
    isUp: async () => { await query(socket, 'SELECT 1') },
  })
  return withAccounts(server, port, socket)
}
