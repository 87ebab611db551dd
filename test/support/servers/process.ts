import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

/** A server process a test can hurt. */
export interface Server extends AsyncDisposable {
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again as it was started, on the same port, and waits until it serves. */
  restart(): Promise<void>
  /** SIGSTOP: it keeps its sockets and answers nothing. */
  pause(): void
  /** SIGCONT. */
  resume(): void
}

export interface ServerProcess extends Server {
  readonly directory: string
}

export interface Launch {
  /** Found on PATH or in the places Debian and test/run.sh put servers. */
  readonly binary: string
  /** Undefined for one that test/run.sh brings. */
  readonly debianPackage?: string | undefined
  readonly args: readonly string[]
  /** Resolves when the server serves; rejects or throws while it does not. */
  readonly isUp: () => Promise<void>
  /** Kept when the server is restarted, removed with it. Default: a new temporary one. */
  readonly directory?: string
}

const START_TIMEOUT_MS = 15_000
/** What test/support/servers/fetch-servers.sh brought. */
export const FETCHED = resolve(import.meta.dirname, '../../../.venv/servers')
const FETCHED_PATHS = [FETCHED, join(FETCHED, 'mysql/bin')]
const DEBIAN_PATHS = ['/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/usr/lib/postgresql/15/bin']
const running = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function serverDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'sessiongate-server-'))
}

/** Starts a server and resolves when it serves. It dies with the test process. */
export async function startServer({ binary, debianPackage, args, isUp, directory = serverDirectory() }: Launch): Promise<ServerProcess> {
  const path = findBinary(binary, debianPackage)
  let child: ChildProcess

  async function start(): Promise<void> {
    child = spawn(path, args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    let output = ''
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk: Buffer) => { output = (output + chunk.toString()).slice(-4_000) })
    const deadline = performance.now() + START_TIMEOUT_MS
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${binary} ended with ${child.exitCode}:\n${output}`)
      try {
        return await isUp()
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`${binary} does not serve:\n${output}`, { cause: error })
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    await once(child, 'exit')
    running.delete(child)
  }

  await start()
  return {
    directory,
    kill,
    restart: start,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export function findBinary(name: string, debianPackage: string | undefined): string {
  const isFetched = debianPackage === undefined                       // not looked for on PATH, where MariaDB calls itself mysqld
  const directories = isFetched ? FETCHED_PATHS : [...(process.env['PATH'] ?? '').split(delimiter), ...DEBIAN_PATHS]
  for (const directory of directories) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  const remedy = isFetched ? 'bash test/support/servers/fetch-servers.sh .venv/servers' : `apt-get install ${debianPackage}`
  throw new Error(`this test needs ${name}: run ${remedy}`)
}
