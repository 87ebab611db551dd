import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { runCli, spawnCli } from '../support/cli.ts'
import { minimalWith, secretNamed } from '../support/config-samples.ts'
import { waitFor } from '../support/wait-for.ts'

let cwd: string
let app: Server
let appUrl: string
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cli-serve-'))
  app = createServer((request, response) => response.end(`app saw ${request.headers['x-session-assertion'] === undefined ? 'no' : 'an'} assertion`)).listen(0, '127.0.0.1')
  await once(app, 'listening')
  appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
})
afterEach(async () => {
  app.close()
  await rm(cwd, { recursive: true, maxRetries: 5 })
})

/** Starts a gateway, asks it once, stops it; resolves to the answer, all its output and its exit code. */
async function serveOnce(args: readonly string[], env: Record<string, string> = {}) {
  const socket = join(cwd, 'gate.sock')
  const child = spawnCli([...args, '--listen', `unix:${socket}`, '--no-admin', '--log.format', 'json'], { cwd, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  try {
    await waitFor(() => output.includes('"listening"') || child.exitCode !== null, () => `gateway; it said: ${output}`, 15_000)
    const answer = child.exitCode === null ? await askSocket(socket) : undefined
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
    return { answer, output, code: child.exitCode }
  } finally {
    child.kill('SIGKILL')
  }
}

async function askSocket(socketPath: string): Promise<string> {
  const { request } = await import('node:http')
  const { text } = await import('node:stream/consumers')
  const asking = request({ socketPath, path: '/', headers: { host: 'localhost' } }).end()
  const [response] = await once(asking, 'response') as [NodeJS.ReadableStream]
  return text(response)
}

test('--upstream alone serves an app, and says that production wants keys of its own', async () => {
  const { answer, output, code } = await serveOnce(['--upstream', appUrl])
  expect(answer).toBe('app saw an assertion')
  expect(output).toMatch(/generated keys.*For production/)
  expect(code).toBe(0)
})

test('serve with a file and a flag over it', async () => {
  await writeFile(join(cwd, 'gate.yaml'), stringify(minimalWith({ 'upstreams.app.targets': [appUrl], 'routes.0.session': 'use', store: { kind: 'memory' } })), { mode: 0o600 })
  const { answer, output, code } = await serveOnce(['serve', '-c', 'gate.yaml', '--routes.0.session', 'none'])
  expect({ answer, code }).toEqual({ answer: 'app saw no assertion', code: 0 })
  for (const name of ['cookie', 'assertion']) expect(output).not.toContain(secretNamed(name))
})

test('an invalid configuration is not served: exit code 78, every problem, no stack', async () => {
  await writeFile(join(cwd, 'gate.yaml'), stringify(minimalWith({ wrkers: 1, 'session.idle': 5 })), { mode: 0o600 })
  const { code, stdout, stderr } = await runCli(['-c', 'gate.yaml'], { cwd })
  expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
  expect(stderr).toMatch(/has 2 problems[^]*wrkers[^]*session.idle/)
  expect(stderr).not.toMatch(/at .*\.ts:/)
})

test('a port that is taken is one plain sentence and exit code 1', async () => {
  await writeFile(join(cwd, 'gate.yaml'), stringify(minimalWith({ 'upstreams.app.targets': ['http://127.0.0.1:1'], store: { kind: 'memory' }, admin: false })), { mode: 0o600 })
  const { code, stderr } = await runCli(['-c', 'gate.yaml', '--listen', new URL(appUrl).host, '--log.level', 'silent'], { cwd })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^sessiongate: listen EADDRINUSE.*\n$/)
})
