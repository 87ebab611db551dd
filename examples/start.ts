// What `npm start` runs: the bundled legacy app and, as a process of its own, the gateway in front of it.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { dirname, extname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { keepSecret } from './demo-keys.ts'
import { createLegacyApp } from './legacy-app/server.ts'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 15_000
const STOP_TIMEOUT_MS = 10_000

const root = packageRoot(import.meta.dirname)

async function main(): Promise<void> {
  const port = chosenPort()
  await assertFree(port)
  const dataDirectory = resolve(process.env.DATA_DIR ?? join(root, 'data'))
  keepSecret(dataDirectory, 'cookie-key')
  const secret = keepSecret(dataDirectory, 'assertion-key')

  const app = createLegacyApp({ secrets: new Map([['demo-a1', secret]]), audience: 'legacy-app' })
  const appPort = await listen(app, 0)
  const adminPort = await adminPortFor(port)
  const gateway = startGateway({
    PORT: String(port), ADMIN_PORT: String(adminPort), APP_URL: `http://${HOST}:${appPort}`, DEMO_DATA: dataDirectory,
  })
  stopTogether(gateway, app)
  await untilReady(adminPort, gateway)
  process.stdout.write(welcome(port, adminPort, appPort))
}

function startGateway(env: Record<string, string>): ChildProcess {
  const cli = join(import.meta.dirname, '..', 'bin', `sessiongate${extname(import.meta.filename)}`)
  const config = join(root, 'examples', 'demo.yaml')
  // Detached: Ctrl-C reaches this process alone, which then stops the gateway with one SIGTERM.
  return spawn(process.execPath, [...process.execArgv, cli, 'serve', '--config', config], {
    env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'], detached: true,
  })
}

/** Ctrl-C, SIGTERM or the end of the gateway stop both. A gateway that ends by itself takes its exit code with it. */
function stopTogether(gateway: ChildProcess, app: Server): void {
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    process.stdout.write('\nStopping. Your session is kept: start again and reload the page.\n')
    gateway.kill('SIGTERM')
    setTimeout(() => gateway.kill('SIGKILL'), STOP_TIMEOUT_MS).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  process.on('exit', () => gateway.kill('SIGKILL'))
  gateway.on('error', (error) => fail(`The gateway could not be started: ${error.message}`))
  gateway.on('exit', (code, signal) => {
    app.close()
    if (!stopping) fail(`The gateway stopped by itself (${signal ?? `exit code ${code}`}); its own words are above.`, code || 1)
    process.exit(0)
  })
}

async function untilReady(adminPort: number, gateway: ChildProcess): Promise<void> {
  const deadline = AbortSignal.timeout(START_TIMEOUT_MS)
  while (gateway.exitCode === null) {
    const ready = await fetch(`http://${HOST}:${adminPort}/readyz`, { signal: deadline }).then((answer) => answer.ok, () => false)
    if (ready) return
    if (deadline.aborted) fail(`The gateway was not ready within ${START_TIMEOUT_MS / 1000} s.`)
    await new Promise((wake) => setTimeout(wake, 25))
  }
}

function welcome(port: number, adminPort: number, appPort: number): string {
  return `
  sessiongate is running:   http://${HOST}:${port}/

  What to try
    1. Open the page, press Count a few times, put something on the shopping list.
    2. Sign in with any name: the session gets a new id, the count stays.
    3. Stop this with Ctrl-C, run npm start again and reload: you are still signed in.
    4. Sign out: the session is gone, the cookie too.

  The app itself            http://${HOST}:${appPort}/   refuses whoever does not come through the gateway
  Metrics                   http://${HOST}:${adminPort}/metrics
  Configuration             examples/demo.yaml

`
}

function chosenPort(): number {
  const { values } = parseArgs({ options: { port: { type: 'string', short: 'p' } } })
  const text = values.port ?? process.env.PORT ?? '8080'
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) fail(`"${text}" is not a port: give a number from 1 to 65535.`, 2)
  return port
}

async function assertFree(port: number): Promise<void> {
  const probe = createServer()
  try {
    await listen(probe, port)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'EADDRINUSE' ? 'is taken' : code === 'EACCES' ? 'needs more rights' : `cannot be used (${message})`
    fail(`Port ${port} ${reason}. Choose another one:  PORT=${port + 1000 > 65_535 ? 18080 : port + 1000} npm start`)
  }
  await new Promise((closed) => probe.close(closed))
}

/** The port after the gateway's own where it is free, else any. */
async function adminPortFor(port: number): Promise<number> {
  const probe = createServer()
  const free = await listen(probe, (port + 1) % 65_536).catch(() => listen(probe, 0))
  await new Promise((closed) => probe.close(closed))
  return free
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(port, HOST, () => {
      server.off('error', failed)
      listening()
    })
  })
  return (server.address() as AddressInfo).port
}

function packageRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : packageRoot(dirname(from))
}

function fail(message: string, code = 1): never {
  process.stderr.write(`\n${message}\n`)
  process.exit(code)
}

try {
  await main()
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
