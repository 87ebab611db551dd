import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { afterAll, expect, test } from 'vitest'
import { runCliBatch } from '../support/cli.ts'
import { minimalWith } from '../support/config-samples.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { freePort } from '../support/ports.ts'
import { startCli, type ChildHandle } from '../support/processes.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import { startProgram } from './adapters/toolchains.ts'

const directory = mkdtempSync(join(tmpdir(), 'learn-'))
afterAll(() => rmSync(directory, { recursive: true }))
const EXPRESS = new URL('./recipes/express_app.js', import.meta.url).pathname

async function startLearning(upstream: string, ...more: string[]): Promise<{ learner: ChildHandle; url: string }> {
  const port = await freePort()
  const learner = startCli(['learn', '--upstream', upstream, '--listen', `127.0.0.1:${port}`, ...more], { cwd: directory })
  await waitFor(() => learner.exit !== undefined || learner.stderr.includes('go to http'), () => `learning; it said ${learner.stderr}`, 15_000)
  return { learner, url: `http://127.0.0.1:${port}` }
}

const form = (fields: Record<string, string>) => ({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(fields).toString() })

/** As a person would do it, with a browser that still has a session of the time before. */
async function visit(client: HttpClient): Promise<string[]> {
  const secrets: string[] = []
  const remember = (): void => { for (const { value } of client.jar.all()) secrets.push(value, decodeURIComponent(value)) }
  client.jar.set('connect.sid', `s%3A${'Q7'.repeat(16)}.${'b3X'.repeat(14)}`)
  client.jar.set('_ga', 'GA1.1.1234567890.1600000000')
  remember()
  expect((await client.get('/count')).body).toBe('1')
  remember()
  const login = await client.post('/login', form({ user: 'ann', password: 'right', remember: 'yes' }))
  expect(login.status).toBe(302)
  remember()
  expect((await client.get('/whoami')).body).toBe('ann')
  expect((await client.post('/transfer', { headers: { 'x-xsrf': client.jar.get('xsrf')?.value ?? '' } })).status).toBe(200)
  expect((await client.post('/logout')).body).toBe('bye')
  expect((await client.get('/whoami')).body).toBe('nobody')
  remember()
  return secrets.filter((value) => value !== 'dark')
}

test('in front of an Express app: nothing changes for the browser, and the rules are what check accepts', { timeout: 40_000 }, async () => {
  await using app = await startProgram([process.execPath, EXPRESS])
  const out = join(directory, 'cookies.yaml')
  const { learner, url } = await startLearning(`http://127.0.0.1:${app.port}`, '--out', out)
  await using client = httpClient(url)
  const secrets = await visit(client)
  learner.signal('SIGINT')
  expect(await learner.exited).toMatchObject({ code: 0 })

  const fragment = readFileSync(out, 'utf8')
  const { routes: [{ cookies }] } = parse(fragment) as { routes: [{ cookies: object[] }] }
  expect(cookies).toEqual([
    { name: 'connect.sid', do: 'store', adopt: true },
    { name: 'remember', do: 'encrypt' },
    { name: 'theme', do: 'pass' },
    { name: 'xsrf', do: 'pass' },
    { pattern: '_ga*', do: 'drop' },
  ])
  expect(fragment).toMatch(/# the session of Express, by its name; HttpOnly; looks random \(\d+ bits or so\); changes at login; deleted at logout/)
  expect(fragment).toMatch(/# a CSRF token, by its name; the same value came as header x-xsrf \(double submit\)/i)
  expect(learner.stderr).toMatch(/seen: \d+ requests, 1 login, 1 logout, 5 cookies/)
  expect(learner.stderr).toMatch(/connect\.sid +store +the session of Express/)
  for (const secret of secrets) expect(`${learner.stdout}${learner.stderr}${fragment}`).not.toContain(secret)

  writeFileSync(join(directory, 'whole.yaml'), stringify({ ...minimalWith({}) as object, ...parse(fragment) as object }))
  const [check, again] = await runCliBatch([['check', '-c', 'whole.yaml'], ['learn', '--upstream', 'http://127.0.0.1:1', '--out', out]], { cwd: directory })
  expect(check).toMatchObject({ code: 0, stderr: '' })
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('exists; it is left as it is') as string })
})

test('passes every byte and every cookie on as they are, and ends after its time', { timeout: 20_000 }, async () => {
  await using upstream = await startRawUpstream()
  upstream.respond(rawResponse({ headers: [['Set-Cookie', 'session=a; HttpOnly'], ['Set-Cookie', '__Host-session=b; Secure; Path=/'], ['Cache-Control', 'public, max-age=60']], body: 'ok' }))
  const { learner, url } = await startLearning(upstream.url, '--for', '3s')
  await using client = httpClient(url)
  const reply = await client.post('/login?x=1', { ...form({ password: 'p', big: 'x'.repeat(200_000) }), anonymous: true })
  expect(reply.all('set-cookie')).toEqual(['session=a; HttpOnly', '__Host-session=b; Secure; Path=/'])
  expect([reply.all('cache-control'), reply.all('vary')]).toEqual([['public, max-age=60'], []])
  expect(upstream.lastRequest.body.toString()).toBe(form({ password: 'p', big: 'x'.repeat(200_000) }).body)
  expect(upstream.lastRequest.all('x-session-assertion')).toEqual([])
  await client.get('/', { headers: { cookie: 'a=1;b="x y";  session=c' }, anonymous: true })
  expect(upstream.lastRequest.all('cookie')).toEqual(['a=1;b="x y";  session=c'])
  expect(await learner.exited).toMatchObject({ code: 0 })
  expect((parse(learner.stdout) as { routes: [{ cookies: { name: string }[] }] }).routes[0].cookies.map(({ name }) => name)).toContain('__Host-session')
})

test('says what it cannot do', { timeout: 30_000 }, async () => {
  const lines = [['learn'], ['learn', '--upstream', 'nonsense'], ['learn', '--upstream', 'http://127.0.0.1:1', '--for', '10']]
  const sentences = ['--upstream is needed', '--upstream must be', '--for must be a duration']
  const results = await runCliBatch(lines, { cwd: directory })
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(sentences.map((sentence) => [64, expect.stringContaining(sentence) as string]))
  expect(existsSync(join(directory, '.local'))).toBe(false)                   // no key is left behind
})
