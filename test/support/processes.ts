import { spawn, type ChildProcess } from 'node:child_process'
import { waitFor } from './wait-for.ts'

export interface ProcessOptions {
  readonly cwd?: string
  /** Added to this process's environment; undefined removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Given to the child's standard input, which is then closed. */
  readonly input?: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export type Stream = 'stdout' | 'stderr'

export interface WaitOptions {
  readonly timeoutMs?: number
  /** Only this stream; default both. */
  readonly stream?: Stream
}

/** A running child in a process group of its own, with everything it has said. */
export class ChildHandle {
  readonly stdoutLines: string[] = []
  readonly stderrLines: string[] = []
  /** Undefined while it runs. */
  exit: Exit | undefined
  /** Settles when it has ended and its output is complete; never rejects but for a command that cannot start. */
  readonly exited: Promise<Exit>

  constructor(readonly command: string, private readonly child: ChildProcess) {
    collectLines(child.stdout, this.stdoutLines)
    collectLines(child.stderr, this.stderrLines)
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.exit = { code, signal }
        running.delete(this)
        resolve(this.exit)
      })
    })
    this.exited.catch(() => {})                      // whoever waits for it is told
    running.add(this)
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.command} did not start`)
    return this.child.pid
  }
  get stdout(): string { return this.stdoutLines.join('\n') }
  get stderr(): string { return this.stderrLines.join('\n') }

  /** The first line, past or future, that the pattern matches. Rejects, with the output so far, when the child ends first. */
  async waitForLine(pattern: RegExp | ((line: string) => boolean), options: WaitOptions = {}): Promise<string> {
    const isWanted = typeof pattern === 'function' ? pattern : (line: string) => pattern.test(line)
    const found = await this.#waitFor(() => {
      const line = this.#lines(options.stream).find(isWanted)
      return line === undefined ? undefined : { line }
    }, `line ${String(pattern)}`, options)
    return found.line
  }

  /** The first line that is a JSON object which `isWanted`. */
  async waitForJson<T extends object = Record<string, unknown>>(isWanted: (entry: T) => boolean, options: WaitOptions = {}): Promise<T> {
    return await this.#waitFor(() => this.#lines(options.stream).map((line) => parseObject<T>(line)).find((entry) => entry && isWanted(entry)), 'JSON line', options)
  }

  /** All lines so far that are JSON objects. */
  jsonLines<T extends object = Record<string, unknown>>(stream?: Stream): T[] {
    return this.#lines(stream).map((line) => parseObject<T>(line)).filter((entry) => entry !== undefined)
  }

  signal(name: NodeJS.Signals): void { this.child.kill(name) }

  /** A signal to the child and all it has started. */
  signalGroup(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name)
    } catch {
      // no process of the group is left
    }
  }

  /** SIGTERM, then SIGKILL to the whole group after `graceMs`. */
  async stop(graceMs = 5_000): Promise<Exit> {
    if (this.exit === undefined) this.signal('SIGTERM')
    const killer = setTimeout(() => { this.signalGroup('SIGKILL') }, graceMs)
    try {
      return await this.exited
    } finally {
      clearTimeout(killer)
      this.signalGroup('SIGKILL')                    // children that outlived it
    }
  }

  /** SIGKILL to the whole group. */
  async kill(): Promise<Exit> {
    this.signalGroup('SIGKILL')
    return await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.pid !== undefined) await this.kill()
  }

  #lines(stream?: Stream): string[] {
    if (stream !== undefined) return stream === 'stdout' ? this.stdoutLines : this.stderrLines
    return [...this.stdoutLines, ...this.stderrLines]
  }

  async #waitFor<T>(found: () => T | undefined, what: string, { timeoutMs = 10_000 }: WaitOptions): Promise<NonNullable<T>> {
    const result = await waitFor<{ value: T | undefined } | undefined>(() => {
      const value = found()
      return value !== undefined || this.exit !== undefined ? { value } : undefined
    }, () => `${what} from ${this.command}; it said:\n${this.stdout}\n${this.stderr}\n`, timeoutMs)
    if (result.value === undefined || result.value === null) {
      throw new Error(`${this.command} ended (${JSON.stringify(this.exit)}) without ${what}; it said:\n${this.stdout}\n${this.stderr}`)
    }
    return result.value
  }
}

const running = new Set<ChildHandle>()
process.once('exit', () => { for (const child of running) child.signalGroup('SIGKILL') })

/** Starts a command in its own process group. It is killed, with all it started, when disposed or when this process ends. */
export function startProcess(command: string, args: readonly string[] = [], options: ProcessOptions = {}): ChildHandle {
  const child = spawn(command, args, {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin?.end(options.input)
  return new ChildHandle([command, ...args].join(' '), child)
}

/** Runs a command to its end. Any exit code is an answer. */
export async function runProcess(command: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<Exit & { stdout: string; stderr: string }> {
  await using child = startProcess(command, args, options)
  const exit = await child.exited
  return { ...exit, stdout: child.stdout, stderr: child.stderr }
}

/** Starts a TypeScript file of this project as it is now, without a build. Workers and forks it makes run TypeScript too. */
export function startTypeScript(file: string | URL, args: readonly string[] = [], options: ProcessOptions & { nodeArgs?: readonly string[] } = {}): ChildHandle {
  const path = typeof file === 'string' ? file : file.pathname
  return startProcess(process.execPath, ['--import', TYPESCRIPT_LOADER, '--enable-source-maps', ...(options.nodeArgs ?? []), path, ...args], options)
}

/** Starts the project's command line, from its sources. */
export function startCli(args: readonly string[] = [], options: ProcessOptions = {}): ChildHandle {
  return startTypeScript(CLI, args, options)
}

const TYPESCRIPT_LOADER = new URL('./typescript-loader.mjs', import.meta.url).href
const CLI = new URL('../../bin/sessiongate.ts', import.meta.url)

function collectLines(stream: NodeJS.ReadableStream | null, lines: string[]): void {
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (text: string) => {
    const pieces = (rest + text).split('\n')
    rest = pieces.pop() ?? ''
    lines.push(...pieces.map((line) => line.replace(/\r$/, '')))
  })
  stream?.on('end', () => { if (rest !== '') lines.push(rest) })
}

function parseObject<T extends object>(line: string): T | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}
