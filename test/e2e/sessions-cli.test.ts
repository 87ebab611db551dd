import { createServer } from 'node:http'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { runCliBatch, type CliResult } from '../support/cli.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient } from '../support/http-client.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawUpstream } from '../support/raw-upstream.ts'

const cwd = mkdtempSync(join(tmpdir(), 'sessions-cli-'))
afterAll(() => rmSync(cwd, { recursive: true }))

const run = (...lines: string[][]): Promise<CliResult[]> => runCliBatch(lines, { cwd })

test('list, show and revoke, against a running gateway', async () => {
  await using upstream = await startRawUpstream()
  upstream.respond(({ target }) => {
    const name = target.split('?')[1]
    return rawResponse({ headers: name ? [['X-Session-Patch', JSON.stringify({ user: decodeURIComponent(name), pin: 'k0nto' })]] : [], body: 'app' })
  })
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config: { session: { subject: 'user', revocation: true } } })
  const login = async (name: string): Promise<void> => {
    using browser = httpClient(gateway.url)
    expect((await browser.get(`/login?${name}`)).header('set-cookie')).toContain('session=')
  }
  for (const name of ['ann', 'ann', 'bob', 'eve%1B%5B2J']) await login(name)
  const admin = ['--admin', gateway.adminUrl]

  const [table, json, few, byConfig] = await run(['sessions', 'list', ...admin], ['sessions', 'list', '--json', '--subject', 'bob', ...admin], ['sessions', 'list', '--limit', '2', ...admin], ['sessions', 'list', '-c', gateway.configFile, '--subject', 'ann'])
  const lines = table?.stdout.trimEnd().split('\n') ?? []
  expect(lines[0]).toMatch(/^HANDLE +SUBJECT +CREATED +LAST USE +EXPIRES +BYTES$/)
  expect(lines).toHaveLength(5)
  expect(lines.filter((line) => /^[\w-]{22} {2}ann .* \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +\d+$/.test(line))).toHaveLength(2)
  expect(table?.stdout).not.toContain('\x1b')
  expect(few?.stdout.trimEnd().split('\n')).toHaveLength(3)
  expect(few?.stderr).toMatch(/there are more/)
  expect(byConfig?.stdout.trimEnd().split('\n')).toHaveLength(3)
  const { handle } = JSON.parse(json?.stdout ?? '') as { handle: string }

  const [redacted, open, one, again, bobs, everybodys, nobodys] = await run(
    ['sessions', 'show', handle, ...admin], ['sessions', 'show', '--values', handle, ...admin],
    ['sessions', 'revoke', handle, ...admin], ['sessions', 'revoke', handle, ...admin],
    ['sessions', 'revoke', '--subject', 'ann', ...admin], ['sessions', 'revoke', '--all', ...admin], ['sessions', 'list', ...admin],
  )
  expect(redacted?.stdout).toContain('[text of 5 characters]')
  expect(redacted?.stdout).not.toContain('k0nto')
  expect(JSON.parse(open?.stdout ?? '')).toMatchObject({ handle, data: { user: 'bob', pin: 'k0nto' } })
  expect(one).toEqual({ code: 0, stdout: 'ended 1 session\n', stderr: '' })
  expect(again).toEqual({ code: 1, stdout: '', stderr: `there is no live session ${handle}\n` })
  expect(bobs?.stdout).toBe('ended 2 sessions\n')
  expect(everybodys?.stdout).toBe('ended 1 session\n')
  expect(nobodys?.stdout).toBe('no sessions\n')
})

test('what cannot be done is said in words, with an exit code', async () => {
  const stranger = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  const asked: string[] = []
  const gateway = createServer(({ url = '' }, response) => {
    asked.push(url)
    response.writeHead(404).end('{"error":"none"}')
  }).listen(0, '127.0.0.1')
  await Promise.all([once(stranger, 'listening'), once(gateway, 'listening')])
  const closed = await freePort()
  const [nobody, other, dashed, nothing, both, unclear, typo, key] = await run(
    ['sessions', 'list', '--admin', `127.0.0.1:${closed}`], ['sessions', 'list', '--admin', `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/`],
    ['sessions', 'show', '-bcdefghijklmnopqrstuv', '--admin', `127.0.0.1:${(gateway.address() as AddressInfo).port}`],
    ['sessions', 'revoke', '--admin', `127.0.0.1:${closed}`], ['sessions', 'revoke', '--all', '--subject', 'ann', '--admin', `127.0.0.1:${closed}`],
    ['sessions', 'list', '--admin', 'nowhere'], ['sessions', 'revoke', '--subjekt', 'ann'], ['sessions', 'list', '--workers', '2'],
  )
  stranger.close()
  gateway.close()
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringMatching(/no gateway answers at http:\/\/127.0.0.1:\d+ \(.*ECONNREFUSED.*is it running/) })
  expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/not the admin listener of sessiongate/) })
  expect(dashed).toMatchObject({ code: 1, stderr: 'there is no live session -bcdefghijklmnopqrstuv\n' })
  expect(asked).toEqual(['/sessions/-bcdefghijklmnopqrstuv'])
  expect(nothing).toMatchObject({ code: 64, stderr: expect.stringMatching(/needs one of: HANDLE, --subject S, --all/) })
  expect(both).toMatchObject({ code: 64 })
  expect(unclear).toMatchObject({ code: 64, stderr: expect.stringMatching(/--admin must be an address or a URL/) })
  expect(typo).toMatchObject({ code: 64, stderr: expect.stringMatching(/did you mean --subject\?/) })
  expect(key).toMatchObject({ code: 64, stderr: expect.stringMatching(/takes no configuration options such as --workers/) })
})
