import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { runCli, runCliBatch, type CliResult } from '../support/cli.ts'
import { minimalWith, secretNamed } from '../support/config-samples.ts'

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cli-check-'))
})
afterAll(() => rm(cwd, { recursive: true }))

const run = (args: readonly string[]): Promise<CliResult> => runCli(args, { cwd })
const write = (name: string, changes: Readonly<Record<string, unknown>> = {}): Promise<void> => writeFile(join(cwd, name), stringify(minimalWith(changes)), { mode: 0o600 })

describe('sessiongate check', () => {
  test('says what a valid configuration would run', async () => {
    await write('good.yaml', { 'routes.1': { path: '/api', host: 'api.example', upstream: 'app', session: 'require', loginUrl: 'https://login.example/' }, admin: '0.0.0.0:9090' })
    const { code, stdout, stderr } = await run(['check', '-c', 'good.yaml'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/good.yaml is valid/)
    expect(stdout).toMatch(/listens on +http:\/\/127.0.0.1:8080/)
    expect(stdout).toMatch(/cookie +session; Path=\/; HttpOnly; SameSite=lax/)
    expect(stdout).toMatch(/api.example +\/api +app +require +login at https:\/\/login.example\//)
    expect(stdout).toMatch(/Warnings\n +admin: can be reached from other machines.*good.yaml:\d+/)
    expect(stdout).not.toContain(secretNamed('cookie'))
  })

  test('lists every problem of an invalid one and exits with 78', async () => {
    await write('bad.yaml', { wrkers: 2, 'session.idle': 30, 'routes.0.upstream': 'ap', 'keys.cookie.0.secret': 'canary-too-short' })
    const { code, stdout, stderr } = await run(['check', '--config=bad.yaml'])
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' })
    expect(stderr).toMatch(/the configuration in bad.yaml has 4 problems/)
    expect(stderr).toMatch(/keys.cookie.0.secret: this secret is shorter than 32 bytes.*bad.yaml:\d+/)
    expect(stderr).toMatch(/routes.0.upstream: there is no such upstream; did you mean app\?/)
    expect(stderr).toMatch(/session.idle: expected a duration with a unit/)
    expect(stderr).toMatch(/wrkers: is not a key here; did you mean "workers"\?/)
    expect(stderr).not.toMatch(/canary|at .*\.ts:/)
  })

  test('prints the effective configuration without a secret', async () => {
    await write('secret.yaml', { store: { kind: 'redis', url: 'redis://u:canary-one@h', password: 'canary-two' } })
    const { code, stdout } = await run(['check', '-c', 'secret.yaml', '--print', '--session.idle', '20m', '--no-admin'])
    expect(code).toBe(0)
    expect(parse(stdout)).toMatchObject({ session: { idle: '20m' }, admin: false, store: { url: 'redis://u:(redacted)@h', password: '(redacted)' }, keys: { cookie: [{ id: 'c1', secret: '(redacted)' }] } })
    expect(stdout).not.toMatch(/canary/)
    expect(stdout).not.toContain(secretNamed('cookie'))
  })

  test('finds ./sessiongate.yaml, and SESSIONGATE_CONFIG before it', async () => {
    await write('sessiongate.yaml')
    await write('other.yaml', { issuer: 'other' })
    const [found, named] = await runCliBatch([['check'], ['SESSIONGATE_CONFIG=other.yaml', 'check']], { cwd })
    expect(found?.stdout).toMatch(/from sessiongate.yaml is valid/)
    expect(named?.stdout).toMatch(/from other.yaml is valid/)
    await rm(join(cwd, 'sessiongate.yaml'))
    const { code, stderr } = await run(['check'])
    expect(code).toBe(64)
    expect(stderr).toMatch(/there is no configuration.*\n.*sessiongate --upstream http:\/\/127.0.0.1:5000\n.*sessiongate init/)
  })

  test('takes --upstream instead of a file, and not beside one', async () => {
    const quickly = ['check', '--upstream', 'http://127.0.0.1:5000']
    const [quick, both, nonsense] = await runCliBatch([quickly, [...quickly, '-c', 'good.yaml'], ['check', '--upstream', 'nonsense']], { cwd })
    expect(quick).toMatchObject({ code: 0, stdout: expect.stringMatching(/file in .*\.local\/state\/sessiongate\/sessions[^]*Warnings[^]*generated keys/) as string })
    expect(both).toMatchObject({ code: 64, stderr: expect.stringContaining('not both') as string })
    expect(nonsense).toMatchObject({ code: 78, stderr: expect.stringContaining('--upstream: expected http://') as string })
  })
})

test('a command line that cannot be understood exits with 64 and says what was meant', async () => {
  const mistakes: [string[], RegExp][] = [
    [['chekc'], /no command "chekc"; did you mean check\?/],
    [['--sesion.idle', '20m'], /no option --sesion.idle; did you mean --session.idle\?/],
    [['check', '--prnit'], /no option --prnit; did you mean --print\?/],
    [['check', 'extra'], /unexpected argument "extra"/],
    [['serve', 'extra'], /unexpected argument "extra"/],
    [['-c'], /-c needs a value/],
    [['-x'], /no option -x/],
    [['--session.idle'], /--session.idle needs a value/],
    [['keys'], /keys needs one of: generate, rotate/],
    [['keys', 'generate', '--alg', 'RS256'], /--alg must be one of "HS256"/],
    [['keys', 'rotate', '-c', 'x'], /--ring is needed; --step is needed/],
    [['init', '--session.idle', '3m'], /init takes no configuration options/],
    [['bench'], /--upstream is needed/],
    [['bench', '--upstream', 'x'], /--upstream must be a URL/],
  ]
  const results = await runCliBatch(mistakes.map(([args]) => args), { cwd })
  mistakes.forEach(([args, message], index) => {
    const { code, stdout, stderr } = results[index]!
    expect(stderr).toMatch(message)
    expect({ args, code, stdout }).toEqual({ args, code: 64, stdout: '' })
    expect(stderr).not.toMatch(/at .*\.ts:/)
  })
})

test('help, version and schema go to standard output', async () => {
  const asked: [string[], RegExp][] = [
    [['--help'], /Commands:[^]*sessiongate init[^]*--session.idle[^]*Examples:[^]*Exit codes/],
    [['check', '--help'], /--print/],
    [['keys', '--help'], /generate[^]*rotate/],
    [['keys', 'rotate', '--help'], /publish[^]*promote[^]*retire/],
    [['assertion', 'verify', '-h'], /--audience/],
    [['--version'], /^\d+\.\d+\.\d+\n$/],
    [['schema'], /"title": "sessiongate configuration"/],
  ]
  const results = await runCliBatch(asked.map(([args]) => args), { cwd })
  asked.forEach(([args, output], index) => {
    const { code, stdout, stderr } = results[index]!
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
    expect(stdout).toMatch(output)
  })
})
