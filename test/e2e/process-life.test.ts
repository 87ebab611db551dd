import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { freePort, isListening } from '../support/ports.ts'
import { rawResponse, startRawUpstream, step } from '../support/raw-upstream.ts'
import { waitFor, within } from '../support/wait-for.ts'
import { ASSERTION_SECRET } from '../support/world.ts'

const patch = (json: string): Buffer => rawResponse({ headers: [['X-Session-Patch', json]], body: 'ok' })

test('PR1: SIGTERM stops accepting, finishes what is in flight with its commit, and exits 0', async () => {
  await using upstream = await startRawUpstream()
  await using gateway = await startGatewayProcess({ upstream: upstream.url })
  let answer = (): void => undefined
  const answered = new Promise<void>((resolve) => { answer = resolve })
  upstream.respond(() => [step.wait(answered), patch('{"kept":true}')])

  using browser = httpClient(gateway.url)
  const inFlight = browser.get('/slow')
  await upstream.waitForRequests(1)
  gateway.child.signal('SIGTERM')
  await waitFor(async () => !(await isListening(gateway.port)), 'the listener to close')
  answer()
  const reply = await inFlight
  expect(reply.status).toBe(200)
  expect(reply.header('connection')).toBe('close')
  expect(reply.header('set-cookie')).toContain('session=')
  expect(await within(gateway.child.exited, 5_000, 'the exit')).toEqual({ code: 0, signal: null })
})

test('PR2: a second SIGTERM ends at once with status 1', async () => {
  await using upstream = await startRawUpstream()
  await using gateway = await startGatewayProcess({ upstream: upstream.url })
  upstream.respond(() => [step.stall()])
  using browser = httpClient(gateway.url)
  const inFlight = browser.get('/never').catch(() => 'cut')
  await upstream.waitForRequests(1)
  gateway.child.signal('SIGTERM')
  await gateway.child.waitForLine(/"msg":"stopping"/)
  gateway.child.signal('SIGTERM')
  expect(await within(gateway.child.exited, 5_000, 'the exit')).toEqual({ code: 1, signal: null })
  expect(await inFlight).toBe('cut')
})

test('CF8, PR4: SIGHUP swaps the whole configuration under load without a failed request; a bad file changes nothing', async () => {
  await using upstream = await startRawUpstream(undefined, { keepRequests: 10, keepBytes: false })
  await using gateway = await startGatewayProcess({ upstream: upstream.url })
  using browser = httpClient(gateway.url)
  expect((await browser.get('/new')).status).toBe(200)

  let isRunning = true
  const statuses = new Set<number>()
  const load = Promise.all(Array.from({ length: 4 }, async () => {
    using client = httpClient(gateway.url)
    while (isRunning) statuses.add((await client.get('/old')).status)
  }))
  for (let round = 0; round < 5; round++) {
    const guarded = round % 2 === 0
    gateway.write({ routes: [{ path: '/', upstream: 'app' }, { path: '/new', upstream: 'app', session: guarded ? 'require' : 'use' }] })
    gateway.child.signal('SIGHUP')
    await waitFor(async () => (await browser.get('/new')).status === (guarded ? 401 : 200), 'the new generation')
  }
  gateway.writeText('routes: [\nnonsense')
  gateway.child.signal('SIGHUP')
  await gateway.child.waitForLine(/the new configuration was refused/)
  expect((await browser.get('/new')).status).toBe(401)
  isRunning = false
  await load
  expect([...statuses]).toEqual([200])
})

test('PR8: /livez lives while /readyz says which part is away', async () => {
  await using upstream = await startRawUpstream()
  const deadPort = await freePort()
  await using gateway = await startGatewayProcess({
    upstream: upstream.url,
    config: { store: { kind: 'redis', url: `redis://127.0.0.1:${deadPort}` } },
  })
  using admin = httpClient(gateway.adminUrl)
  expect((await admin.get('/livez')).status).toBe(200)
  const ready = await admin.get('/readyz')
  expect(ready.status).toBe(503)
  expect(ready.body).toMatch(/^store: session store "redis" failed to ping/)
  using browser = httpClient(gateway.url)
  const reply = await browser.get('/', { headers: { cookie: 'session=c1.x.y' } })
  expect(reply.status).toBe(200)
  expect((await admin.get('/metrics')).body).toContain('sessiongate_requests_total{route="*/",status="200"} 1')
})

test('a port that is taken ends the start with a clear message, and nothing half started', async () => {
  await using upstream = await startRawUpstream()
  await using first = await startGatewayProcess({ upstream: upstream.url })
  const keep = { directory: first.directory, port: first.port, adminPort: await freePort() }
  await expect(startGatewayProcess({ upstream: upstream.url, keep })).rejects.toThrow(/EADDRINUSE|already in use|taken/)
})

test.each([['the listener', 'port', 1], ['the admin listener', 'adminPort', 1], ['the listener of two workers', 'port', 2], ['the admin listener of two workers', 'adminPort', 2]] as const)('CF6: a port of %s that is taken ends the start and leaves nothing listening', async (_what, taken, workers) => {
  await using upstream = await startRawUpstream()
  await using squatter = await startRawUpstream()
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  const keep = { directory, port: await freePort(), adminPort: await freePort(), [taken]: squatter.port }
  const started = startGatewayProcess({ upstream: upstream.url, keep, config: { workers } })
  await expect(started).rejects.toThrow(/EADDRINUSE|already in use|taken/)
  for (const port of [keep.port, keep.adminPort]) if (port !== squatter.port) expect(await isListening(port)).toBe(false)
  rmSync(directory, { recursive: true })
})

test('secret files that are half written change nothing; when they are whole they count', async () => {
  await using upstream = await startRawUpstream()
  upstream.respond((request) => patch(request.target === '/login' ? '{"user":"ann"}' : '{}'))
  const secret = randomBytes(32).toString('base64url')
  const directory = mkdtempSync(join(tmpdir(), 'secrets-'))
  const files = Object.fromEntries(['cookie', 'assertion'].map((name) => [name, join(directory, name)])) as { cookie: string; assertion: string }
  for (const file of Object.values(files)) writeFileSync(file, file === files.cookie ? secret : ASSERTION_SECRET, { mode: 0o600 })
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config: { keys: { cookie: [{ id: 'c1', secretFile: files.cookie }], assertion: [{ id: 'a1', alg: 'HS256', secretFile: files.assertion }] } } })
  const said = (text: string): number => gateway.child.stdoutLines.filter((line) => line.includes(text)).length
  using browser = httpClient(gateway.url)
  await browser.get('/login')
  const claimsSeen = async (): Promise<string> => {
    expect((await browser.get('/')).status).toBe(200)
    return Buffer.from(upstream.lastRequest.header('x-session-assertion')?.split('.')[1] ?? '', 'base64url').toString()
  }

  for (const half of ['', '\n', secret.slice(0, 9), `${secret.slice(0, 20)}\n`]) {
    for (const file of [files.assertion, files.cookie]) {
      const whole = readFileSync(file)
      const refused = said('the new configuration was refused')
      writeFileSync(file, half)
      gateway.child.signal('SIGHUP')
      await waitFor(() => said('the new configuration was refused') > refused, `${JSON.stringify(half)} to be refused`)
      expect(await claimsSeen()).toContain('"user":"ann"')
      writeFileSync(file, whole)
    }
  }
  const reloaded = said('configuration reloaded')
  writeFileSync(files.cookie, randomBytes(32).toString('base64url'))
  gateway.child.signal('SIGHUP')
  await waitFor(() => said('configuration reloaded') > reloaded, 'the whole one to count')
  expect(await claimsSeen()).toContain('"new":true')
  rmSync(directory, { recursive: true })
})

test('a secret file named only since the last reload is watched too', async () => {
  await using upstream = await startRawUpstream()
  await using gateway = await startGatewayProcess({ upstream: upstream.url })
  const secretFile = join(gateway.directory, 'cookie-key')
  const reloads = (): number => gateway.child.stdoutLines.filter((line) => line.includes('"msg":"configuration reloaded"')).length
  writeFileSync(secretFile, randomBytes(32).toString('base64url'), { mode: 0o600 })
  gateway.write({ keys: { cookie: [{ id: 'c2', secretFile }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }] } })
  await waitFor(() => reloads() === 1, 'the reload by the configuration file', 15_000)
  writeFileSync(secretFile, randomBytes(32).toString('base64url'), { mode: 0o600 })
  await waitFor(() => reloads() === 2, 'the reload by the secret file', 15_000)
})
