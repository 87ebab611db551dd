import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePort } from '../ports.ts'
import { waitFor } from '../wait-for.ts'
import type { ServerProcess } from './process.ts'
import { findBinary, serverDirectory, startServer } from './process.ts'

export interface PostgresServer extends ServerProcess {
  readonly port: number
  /** postgres://gate:a%2Fb@127.0.0.1:port/postgres */
  readonly url: string
  /** The directory of its unix socket. */
  readonly socketDirectory: string
  /** No file of it may grow beyond so many bytes: to it, the disk is full. Undefined: there is room again. */
  limitFiles(bytes: number | undefined): void
  /** One statement as the superuser, on a connection of its own; its rows. */
  query(text: string): Promise<unknown[][]>
}

/** PostgreSQL refuses to run as root, so root lends it the user that its Debian package makes. */
const OWNER = process.getuid?.() === 0 ? 'postgres' : undefined

/** A PostgreSQL of its own, whose files need not survive the machine. `settings` are lines of postgresql.conf. */
export async function startPostgres(...settings: string[]): Promise<PostgresServer> {
  const port = await freePort()
  const directory = serverDirectory()
  const data = join(directory, 'data')
  if (OWNER) giveTo(OWNER, directory)
  const asOwner = (binary: string, ...args: string[]): [string, string[]] => {
    const path = findBinary(binary, 'postgresql')
    return OWNER ? ['setpriv', ['--reuid', OWNER, '--regid', OWNER, '--clear-groups', '--pdeathsig', 'KILL', path, ...args]] : [path, args]
  }
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, 'a/b')
  chmodSync(passwordFile, 0o644)
  const [initdb, initdbArgs] = asOwner('initdb', '--pgdata', data, '--username', 'gate', '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--no-sync', '--encoding', 'UTF8')
  execFileSync(initdb, initdbArgs, { stdio: 'pipe', cwd: '/' })

  const fast = ['fsync=off', 'shared_buffers=16MB', 'autovacuum=off', 'max_connections=60', `unix_socket_directories=${directory}`, 'listen_addresses=127.0.0.1', `port=${port}`]
  const [binary, args] = asOwner('postgres', '-D', data, ...[...fast, ...settings].flatMap((setting) => ['-c', setting]))
  const url = `postgres://gate:a%2Fb@127.0.0.1:${port}/postgres`
  const server = await startServer({ binary, debianPackage: 'postgresql', args, directory, isUp: async () => { await query(url, 'SELECT 1') } })
  const processes = () => familyOf(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]))
  const killPostmaster = server.kill.bind(server)
  return Object.assign(server, {
    port,
    url,
    socketDirectory: directory,
    query: (text: string) => query(url, text),
    pause: () => signal('SIGSTOP', processes),
    resume: () => signal('SIGCONT', processes),
    limitFiles(bytes: number | undefined) {
      for (const pid of processes()) execFileSync(...asOwner('prlimit', `--pid=${pid}`, `--fsize=${bytes ?? 'unlimited'}:unlimited`), { stdio: 'pipe' })
    },
    async kill() {
      const [, ...backends] = existsSync(join(data, 'postmaster.pid')) ? processes() : []
      await killPostmaster()
      for (const pid of backends) if (isThere(pid)) process.kill(pid, 'SIGKILL')
      await waitFor(() => !backends.some(isThere), 'end of the PostgreSQL processes')
      rmSync(join(data, 'postmaster.pid'), { force: true })
    },
  })
}

/** Settings for TLS with this certificate, in files the server may read. */
export function tlsSettings({ cert, key }: { readonly cert: string; readonly key: string }): string[] {
  const directory = serverDirectory()
  process.once('exit', () => { rmSync(directory, { recursive: true, force: true }) })
  const [certFile, keyFile] = [join(directory, 'server.crt'), join(directory, 'server.key')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  if (OWNER) for (const path of [directory, certFile, keyFile]) giveTo(OWNER, path)
  return ['ssl=on', `ssl_cert_file=${certFile}`, `ssl_key_file=${keyFile}`]
}

/** A process and its children: each connection has one. */
function familyOf(pid: number): number[] {
  return [pid, ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)]
}

/** To the first, which then starts no more, and to all that there are by then. Each connection has one, which may end at any time. */
function signal(name: NodeJS.Signals, processes: () => readonly number[]): void {
  process.kill(processes()[0]!, name)
  for (const pid of processes()) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Whether it runs; one that has ended and is not yet collected does not. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function query(url: string, text: string): Promise<unknown[][]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})                                        // the query rejects
  try {
    await client.connect()
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
  } finally {
    await client.end().catch(() => {})
  }
}

function giveTo(user: string, path: string): void {
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, user])))
  chownSync(path, uid!, gid!)
}
