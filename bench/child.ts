import { spawn, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { seat, type Seat } from './cores.ts'

/** A started process and how to end it. `stop` resolves when it is gone. */
export interface Child {
  readonly pid: number
  readonly process: ChildProcess
  stop(): Promise<void>
}

const STOP_MS = 5_000

/**
 * Starts a process whose output is kept for the error message, should it end before it is stopped.
 * @throws Error when it cannot be started.
 */
export async function startChild(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, at?: Seat): Promise<Child> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const output = lastOutput(child)
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  await Promise.race([once(child, 'spawn'), failed])
  child.on('error', () => {})
  if (at) seat(child.pid!, at)
  return { pid: child.pid!, process: Object.assign(child, { outputText: output }), stop: () => stopChild(child) }
}

/** What a child last printed, for error messages. */
export function outputOf(child: Child): string {
  return (child.process as ChildProcess & { outputText: () => string }).outputText()
}

/** Starts one of the bench's own scripts (`targets/upstream`), from TypeScript or from the build, whichever is running. */
export async function startScript(name: string, settings: Readonly<Record<string, unknown>> = {}, at: Seat = 'beside'): Promise<Child> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const script = fileURLToPath(new URL(`./${name}${extension}`, import.meta.url))
  const loader = extension === '.ts' ? ['--import', 'tsx'] : []
  return startChild(process.execPath, [...loader, script], { BENCH_SETTINGS: JSON.stringify(settings) }, at)
}

/** The settings a script was started with. */
export function settingsOf<T>(): T {
  return JSON.parse(process.env.BENCH_SETTINGS ?? '{}') as T
}

/** Resolves to the next message a script sends; rejects, with its output, if it ends first. */
export function nextMessage<T>(child: Child): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown) => {
      child.process.off('exit', onExit)
      resolve(message as T)
    }
    const onExit = (code: number | null, signal: string | null) => {
      child.process.off('message', onMessage)
      reject(new Error(`a process of the benchmark ended (${String(code ?? signal)}):\n${outputOf(child)}`))
    }
    child.process.once('message', onMessage).once('exit', onExit)
  })
}

/** Tells the parent the port this process listens on; ends the process when the parent is gone. */
export function announce(port: number): void {
  process.send?.({ port })
  process.on('disconnect', () => process.exit(0))
}

/** A TCP port of the loopback interface that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  child.kill('SIGTERM')
  await gone
  clearTimeout(timer)
}

function lastOutput(child: ChildProcess): () => string {
  let text = ''
  const keep = (chunk: Buffer) => { text = (text + chunk.toString()).slice(-4000) }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return () => text.trim()
}
