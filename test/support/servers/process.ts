import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

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
  /** Found on PATH or in the places Debian puts servers. */
  readonly binary: string
  readonly debianPackage: string
  readonly args: readonly string[]
  /** Resolves when the server serves; rejects or throws while it does not. */
  readonly isUp: () => Promise<void>
  /** Kept when the server is restarted, removed with it. Default: a new temporary one. */
  readonly directory?: string
}

const START_TIMEOUT_MS = 15_000
const EXTRA_PATHS = ['/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/usr/lib/postgresql/15/bin']
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

export function findBinary(name: string, debianPackage: string): string {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...EXTRA_PATHS]) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  throw new Error(`this test needs ${name}: run apt-get install ${debianPackage}`)
}
