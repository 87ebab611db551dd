import { expect, test } from 'vitest'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'
import { waitFor, within } from '../support/wait-for.ts'

const listening = (line: string): boolean => line.includes('"msg":"listening"')

test('workers share one file store, survive a crash of one, reload together and stop together', async () => {
  await using upstream = await startRawUpstream()
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config: { workers: 2 } })
  upstream.respond((request) => rawResponse({ headers: request.target === '/login' ? [['X-Session-Patch', '{"user":"ann"}']] : [], body: 'ok' }))
  using browser = httpClient(gateway.url)
  expect((await browser.get('/login')).header('set-cookie')).toContain('session=')
  const cookie = browser.jar.headerFor('/') ?? ''

  // A connection each, so that both workers take some.
  const seen = await Promise.all(Array.from({ length: 20 }, async () => {
    using client = httpClient(gateway.url)
    return (await client.get('/', { headers: { cookie } })).status
  }))
  expect(new Set(seen)).toEqual(new Set([200]))
  const claimsOf = (token: string | undefined): { data: unknown } => JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as { data: unknown }
  for (const request of upstream.requests.filter(({ target }) => target === '/')) expect(claimsOf(request.header('x-session-assertion')).data).toEqual({ user: 'ann' })

  using admin = httpClient(gateway.adminUrl)
  expect((await admin.get('/readyz')).status).toBe(200)
  expect((await admin.get('/metrics')).body).toMatch(/sessiongate_requests_total\{route="\*\/",status="200"\} 21/)

  const workerPid = (await gateway.child.waitForLine(/"msg":"request"/), await childrenOf(gateway.child.pid))[0] as number
  process.kill(workerPid, 'SIGKILL')
  await gateway.child.waitForLine(/a worker ended; starting another/)
  await waitFor(async () => (await childrenOf(gateway.child.pid)).length === 2 && (await admin.get('/readyz')).status === 200, 'the replacement')
  expect((await browser.get('/')).status).toBe(200)

  gateway.write({ workers: 2, routes: [{ path: '/', upstream: 'app', session: 'require' }] })
  gateway.child.signal('SIGHUP')
  await waitFor(async () => {
    const statuses = await Promise.all(Array.from({ length: 6 }, async () => {
      using stranger = httpClient(gateway.url)
      return (await stranger.get('/')).status
    }))
    return statuses.every((status) => status === 401)
  }, 'both workers to reload')

  gateway.child.signal('SIGTERM')
  expect(await within(gateway.child.exited, 5_000, 'the exit')).toEqual({ code: 0, signal: null })
  expect(gateway.child.stdoutLines.some(listening)).toBe(true)
})

async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}
