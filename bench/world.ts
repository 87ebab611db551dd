import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Seat } from './cores.ts'
import { freePort, nextMessage, outputOf, startChild, startScript, type Child } from './child.ts'

/** What all targets of a run share: a directory that is removed, the application, redis if it is needed. */
export interface World {
  readonly directory: string
  readonly upstream: Server
  readonly redisUrl: string | undefined
  /** Starts a script of the bench that announces its port; to be measured, unless it is `beside`. */
  startServer(name: string, settings: Readonly<Record<string, unknown>>, at?: Seat): Promise<Server>
  /** Starts the built gateway with a configuration and waits until it accepts connections. */
  startGateway(name: string, config: Readonly<Record<string, unknown>>): Promise<Server>
  stop(): Promise<void>
}

/** A process that answers HTTP at `url`, until it is stopped. */
export interface Server {
  readonly pid: number
  readonly url: string
  stop(): Promise<void>
}

/** Something the benchmark needs is not there; the message says what and how to get it. */
export class MissingError extends Error {}

const READY_MS = 15_000

export async function startWorld({ redis }: { readonly redis: boolean }): Promise<World> {
  const children: Child[] = []
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-bench-'))

  async function startServer(name: string, settings: Readonly<Record<string, unknown>>, at: Seat = 'measured'): Promise<Server> {
    const child = await startScript(name, settings, at)
    children.push(child)
    const { port } = await nextMessage<{ port: number }>(child)
    return { pid: child.pid, url: `http://127.0.0.1:${port}`, stop: () => child.stop() }
  }

  async function startGateway(name: string, config: Readonly<Record<string, unknown>>): Promise<Server> {
    const port = await freePort()
    const home = await mkdtemp(join(directory, `${name}-`))
    const file = join(home, 'sessiongate.yaml')
    await writeFile(file, JSON.stringify({ ...config, listen: `127.0.0.1:${port}` }, null, 2))   // JSON is YAML
    const child = await startChild(process.execPath, [gatewayScript(), 'serve', '-c', file], { NODE_ENV: 'production' }, 'measured')
    children.push(child)
    await acceptsConnections(child, port)
    return { pid: child.pid, url: `http://127.0.0.1:${port}`, stop: () => child.stop() }
  }

  async function stop(): Promise<void> {
    await Promise.all(children.map((child) => child.stop()))
    await rm(directory, { recursive: true, force: true })
  }

  try {
    const upstream = await startServer('targets/upstream', {}, 'beside')
    const redisUrl = redis ? await startRedis(children) : undefined
    return { directory, upstream, redisUrl, startServer, startGateway, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The built command line, beside this file's build or, when run from the sources, in `dist`. */
export function gatewayScript(): string {
  const script = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../dist/bin/sessiongate.js' : '../bin/sessiongate.js', import.meta.url))
  if (!existsSync(script)) throw new MissingError(`the gateway is not built (${script}); run: npm run build`)
  return script
}

/** Resolves when `port` accepts TCP connections; rejects, with the process's output, if it ends or takes too long. */
export async function acceptsConnections(child: Child, port: number, pollMs = 20): Promise<void> {
  const giveUpAt = performance.now() + READY_MS
  while (!(await canConnect(port))) {
    const ended = child.process.exitCode ?? child.process.signalCode
    if (ended !== null) throw new Error(`a target ended (${ended}) before it listened:\n${outputOf(child)}`)
    if (performance.now() > giveUpAt) throw new Error(`a target does not listen after ${READY_MS} ms:\n${outputOf(child)}`)
    await delay(pollMs)
  }
}

async function startRedis(children: Child[]): Promise<string> {
  const port = await freePort()
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no']
  const child = await startChild('redis-server', settings, {}, 'beside').catch((error: unknown) => {
    throw new MissingError(`redis-server cannot be started (${String(error)}); install it: apt-get install redis-server`)
  })
  children.push(child)
  await acceptsConnections(child, port)
  return `redis://127.0.0.1:${port}`
}

async function canConnect(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A secret no one else has. */
export function freshSecret(): string {
  return randomBytes(32).toString('base64url')
}
