import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { freePort } from '../ports.ts'
import { query, withAccounts, type MysqlServer } from './mysql-accounts.ts'
import { FETCHED, findBinary, serverDirectory, startServer } from './process.ts'

/** A MySQL 8 of its own, whose files need not survive the machine. `args` are further options. */
export async function startMysql(...args: string[]): Promise<MysqlServer> {
  const port = await freePort()
  const directory = serverDirectory()
  const socket = join(directory, 'mysql.sock')
  const own = [
    '--no-defaults', ...process.getuid?.() === 0 ? ['--user=root'] : [], `--datadir=${join(directory, 'data')}`, `--lc-messages-dir=${join(FETCHED, 'mysql/share')}`,
    '--innodb-log-file-size=4M', '--innodb-flush-log-at-trx-commit=2', '--innodb-doublewrite=0', '--innodb-buffer-pool-size=32M', '--skip-log-bin', '--mysqlx=OFF',
  ]
  execFileSync(findBinary('mysqld', undefined), [...own, '--initialize-insecure'], { stdio: 'pipe' })
  const server = await startServer({
    binary: 'mysqld',
    args: [...own, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1', '--skip-name-resolve', '--performance-schema=OFF', ...args],
    directory,
    isUp: async () => { await query(socket, 'SELECT 1') },
  })
  return withAccounts(server, port, socket)
}
