import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runCliBatch, type CliResult } from '../support/cli.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'

const cwd = mkdtempSync(join(tmpdir(), 'cookie-store-'))
afterAll(() => rmSync(cwd, { recursive: true }))
const run = (...lines: string[][]): Promise<CliResult[]> => runCliBatch(lines, { cwd })

test('the real command, two workers: says loudly what it cannot do, and "sessions revoke --all" ends every session without a restart', async () => {
  await using upstream = await startRawUpstream()
  upstream.respond(({ target }) => rawResponse({ headers: target.startsWith('/login') ? [['X-Session-Patch', JSON.stringify({ user: target.slice('/login?'.length) })]] : [], body: 'app' }))
  const notBeforeFile = join(cwd, 'not-before')
  writeFileSync(notBeforeFile, '2020-01-01T00:00:00Z\n')
  const config = { workers: 2, store: { kind: 'cookie', notBeforeFile }, session: { subject: 'user' }, routes: [{ upstream: 'app' }, { path: '/in', upstream: 'app', session: 'require' }] }
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config })
  const told = gateway.child.stdoutLines.filter((line) => line.includes('also after a logout'))
  expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([{ level: 40, path: 'store.kind' }])

  using browser = httpClient(gateway.url, { keepAlive: false })
  await browser.get('/login?ann')
  for (let i = 0; i < 4; i++) expect((await browser.get('/in')).status).toBe(200)

  const [checked, listed, byApi] = await run(['check', '-c', gateway.configFile], ['sessions', 'list', '-c', gateway.configFile], ['sessions', 'revoke', '--all', '--admin', gateway.adminUrl])
  expect(checked?.stdout).toMatch(/store +cookie: in the browser, the last writer wins/)
  expect(checked?.stdout).toMatch(/keys +cookie c1, which also seal the sessions; assertion a1/)
  expect(checked?.stdout).toMatch(/Warnings\n {2}store\.kind: .*the last answer wins/)
  expect(listed).toMatchObject({ code: 1, stderr: expect.stringMatching(/refused \(501\): the cookie store cannot be looked through/) })
  expect(byApi).toMatchObject({ code: 1, stderr: expect.stringMatching(/end them with store\.notBefore/) })
  expect((await browser.get('/in')).status).toBe(200)

  const isRefused = async (visitor: HttpClient): Promise<void> => {
    let refusals = 0
    await waitFor(async () => {
      refusals = (await visitor.get('/in')).status === 401 ? refusals + 1 : 0
      return refusals >= 10
    }, 'both workers to refuse the session', 10_000)
  }
  using other = httpClient(gateway.url, { keepAlive: false })
  await other.get('/login?bob')
  const [anns] = await run(['sessions', 'revoke', '--subject', 'ann', '-c', gateway.configFile])
  expect(anns).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ended what this subject began before \d{4}-/) })
  await isRefused(browser)
  expect((await other.get('/in')).status).toBe(200)
  await browser.get('/login?ann')
  for (let i = 0; i < 4; i++) expect((await browser.get('/in')).status).toBe(200)

  const [ended] = await run(['sessions', 'revoke', '--all', '-c', gateway.configFile])
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ended what began before \d{4}-.*Z, as soon as the gateways have read .*not-before\n$/) })
  await isRefused(browser)
  await isRefused(other)
  await browser.get('/login?ann')
  for (let i = 0; i < 4; i++) expect((await browser.get('/in')).status).toBe(200)
}, 60_000)

test('without a file for it, "sessions revoke --all" says how', async () => {
  const configFile = join(cwd, 'plain.yaml')
  const key = (name: string): string => `${name}-0a1b2c3d4e5f60718293a4b5c6d7e8f9`
  writeFileSync(configFile, JSON.stringify({
    keys: { cookie: [{ id: 'c1', secret: key('cookie') }], assertion: [{ id: 'a1', alg: 'HS256', secret: key('assert') }] },
    store: { kind: 'cookie' }, upstreams: { app: { targets: ['http://127.0.0.1:1'] } }, routes: [{ upstream: 'app' }],
  }))
  const [revoked, migrated] = await run(['sessions', 'revoke', '--all', '-c', configFile], ['migrate', '--from', 'flask-session', '--source', cwd, '-c', configFile])
  expect(revoked).toMatchObject({ code: 1, stderr: expect.stringMatching(/set store\.notBefore.*store\.notBeforeFile/) })
  expect(migrated).toMatchObject({ code: 1, stderr: expect.stringMatching(/only a visitor's own browser/) })
})
