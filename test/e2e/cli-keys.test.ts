import { createPublicKey } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { systemClock } from '../../src/clock.ts'
import { assertionKeyOf, createAssertionSigner } from '../../src/signing/assertion.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { runCli, runCliBatch, type CliResult } from '../support/cli.ts'
import { load, minimal, minimalWith, secretNamed } from '../support/config-samples.ts'

let cwd: string
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'cli-keys-'))
})
afterEach(() => rm(cwd, { recursive: true }))

const run = (args: readonly string[], input = ''): Promise<CliResult> => runCli(args, { cwd, input })
const runAll = (...commandLines: string[][]): Promise<CliResult[]> => runCliBatch(commandLines, { cwd })
const modeOf = async (name: string): Promise<number> => (await stat(join(cwd, name))).mode & 0o777

describe('sessiongate init', () => {
  test.each(['HS256', 'EdDSA', 'ES256'])('writes a configuration that is valid, keys only the owner can read, and says what is next (%s)', async (alg) => {
    const { code, stdout, stderr } = await run(['init', 'gate', '--upstream', 'http://127.0.0.1:8000', '--alg', alg])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/wrote gate\/sessiongate.yaml[^]*sessiongate check -c gate\/sessiongate.yaml/)
    const { config, warnings } = await loadConfig({ file: join(cwd, 'gate/sessiongate.yaml'), env: {} })
    expect(warnings).toEqual([])
    expect(config).toMatchObject({ keys: { assertion: [{ alg }] }, upstreams: { app: { targets: [{ origin: 'http://127.0.0.1:8000' }] } }, store: { path: join(cwd, 'gate/data') } })
    expect(await modeOf('gate/keys')).toBe(0o700)
    for (const file of ['cookie', alg === 'HS256' ? 'assertion' : 'assertion.pem']) expect(await modeOf(`gate/keys/${file}`)).toBe(0o600)
    for (const secret of [config.keys.cookie[0]?.secret ?? '', config.keys.assertion[0]?.secret ?? config.keys.cookie[0]?.secret ?? '']) expect(stdout).not.toContain(secret)
  })

  test('overwrites nothing, and then writes nothing', async () => {
    const files = ['sessiongate.yaml', 'keys/cookie', 'keys/assertion']
    const contents = (): Promise<string[]> => Promise.all(files.map((file) => readFile(join(cwd, file), 'utf8').catch(() => 'absent')))
    await run(['init'])
    const before = await contents()
    await rm(join(cwd, 'sessiongate.yaml'))
    expect(await run(['init'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/exists; nothing was written/) as string })
    expect(await contents()).toEqual(['absent', ...before.slice(1)])
  })
})

describe('sessiongate keys generate', () => {
  test('prints an entry that goes into its ring', async () => {
    const asked = [[[], 'cookie'], [['--ring', 'assertion'], 'assertion'], [['--alg', 'EdDSA'], 'assertion'], [['--alg', 'ES256', '--id', 'next'], 'assertion'], [['--ring', 'record'], 'record']] as const
    const results = await runAll(...asked.map(([args]) => ['keys', 'generate', ...args]))
    for (const [index, [, ring]] of asked.entries()) {
      const { code, stdout } = results[index]!
      expect(code).toBe(0)
      expect((await load(minimalWith({ [`keys.${ring}`]: parse(stdout) }))).config.keys[ring]).toHaveLength(1)
    }
  })

  test('with --out the secret goes to a new file, and only there', async () => {
    const generate = ['keys', 'generate', '--alg', 'EdDSA', '--out', 'a2.pem']
    const [{ code, stdout }, again, misused] = await runAll(generate, generate, ['keys', 'generate', '--ring', 'cookie', '--alg', 'ES256']) as [CliResult, CliResult, CliResult]
    expect(code).toBe(0)
    expect(parse(stdout)).toEqual([{ id: expect.any(String) as string, alg: 'EdDSA', privateKeyFile: join(cwd, 'a2.pem') }])
    expect(stdout).not.toContain('PRIVATE')
    expect(await modeOf('a2.pem')).toBe(0o600)
    expect(createPublicKey(await readFile(join(cwd, 'a2.pem'))).asymmetricKeyType).toBe('ed25519')
    expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('exists') as string })
    expect(misused).toMatchObject({ code: 64, stderr: expect.stringContaining('a cookie key is a secret') as string })
  })
})

describe('sessiongate keys rotate', () => {
  const file = (): string => join(cwd, 'sessiongate.yaml')
  const ids = async (ring: 'cookie' | 'assertion'): Promise<string[]> => (await loadConfig({ file: file(), env: {} })).config.keys[ring].map(({ id }) => id)
  const rotate = (ring: string, step: string): string[] => ['keys', 'rotate', '-c', 'sessiongate.yaml', '--ring', ring, '--step', step]

  test('publish, promote, retire: no step signs with a key that was not known before', async () => {
    expect((await runAll(['init'], rotate('assertion', 'publish'))).map(({ code, stderr }) => ({ code, stderr }))).toEqual([{ code: 0, stderr: '' }, { code: 0, stderr: '' }])
    const [old, fresh] = await ids('assertion')
    expect(await modeOf('keys/assertion')).toBe(0o600)
    expect(await modeOf(`keys/assertion-${fresh}`)).toBe(0o600)
    await runAll(rotate('assertion', 'promote'))
    expect(await ids('assertion')).toEqual([fresh, old])
    await runAll(rotate('assertion', 'retire'))
    expect(await ids('assertion')).toEqual([fresh])
  })

  test('every other line of the file stays', async () => {
    await runAll(['init', '--alg', 'ES256'])
    const before = (await readFile(file(), 'utf8')).split('\n')
    await runAll(rotate('cookie', 'publish'), rotate('cookie', 'promote'), rotate('assertion', 'publish'), rotate('assertion', 'promote'))
    const after = (await readFile(file(), 'utf8')).split('\n')
    const added = after.filter((line) => !before.includes(line))
    expect(added).toEqual([
      expect.stringMatching(/^ {4}- \{ id: c\d{8}-[0-9a-f]{4}, secretFile: keys\/cookie-c\d{8}-[0-9a-f]{4} \}$/),
      expect.stringMatching(/^ {4}- \{ id: a\d{8}-[0-9a-f]{4}, alg: ES256, privateKeyFile: keys\/assertion-a\d{8}-[0-9a-f]{4}\.pem \}$/),
    ])
    expect(after.filter((line) => !added.includes(line))).toEqual(before)
    await runAll(rotate('cookie', 'retire'), rotate('assertion', 'retire'))
    expect(await ids('cookie')).toHaveLength(1)
  })

  test('inline secrets stay inline, a block entry is followed by one, and the file keeps its rights', async () => {
    await writeFile(file(), stringify(minimal), { mode: 0o600 })
    await runAll(rotate('cookie', 'publish'), rotate('cookie', 'promote'))
    expect(parse(await readFile(file(), 'utf8'))).toMatchObject({
      keys: { cookie: [{ id: expect.stringMatching(/^c2/) as string, secret: expect.stringMatching(/^.{43}$/) as string }, minimal.keys.cookie[0]] },
    })
    expect(await modeOf('sessiongate.yaml')).toBe(0o600)
  })

  test('what cannot be done leaves the file alone', async () => {
    const lone = stringify(minimal)
    const flow = JSON.stringify(minimal)
    const invalid = stringify(minimalWith({ wrkers: 1 }))
    const cases: [string, string, number, RegExp][] = [
      [lone, 'promote', 1, /one key, which signs already/], [lone, 'retire', 1, /cannot be retired/],
      [flow, 'publish', 1, /left for you to edit/], [invalid, 'publish', 78, /wrkers/],
    ]
    await Promise.all(cases.map(([text], index) => writeFile(join(cwd, `${index}.yaml`), text, { mode: 0o600 })))
    const results = await runAll(...cases.map(([, step], index) => ['keys', 'rotate', '-c', `${index}.yaml`, '--ring', 'cookie', '--step', step]))
    for (const [index, [text, , code, message]] of cases.entries()) {
      expect(results[index]).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) as string })
      expect(await readFile(join(cwd, `${index}.yaml`), 'utf8')).toBe(text)
    }
  })
})

describe('sessiongate assertion verify', () => {
  const token = (secret: string, audience: string, lifetimeSeconds = 60): string => createAssertionSigner(audience, [[]], {
    keys: createKeyRing([assertionKeyOf('a1', 'HS256', secret)]), issuer: 'sessiongate', lifetimeSeconds, subject: undefined, clock: systemClock,
  }).sign(undefined)

  beforeEach(() => writeFile(join(cwd, 'sessiongate.yaml'), stringify(minimal), { mode: 0o600 }))

  test('prints the claims of a valid one, from an argument or from standard input', async () => {
    const valid = token(secretNamed('assertion'), 'app')
    for (const result of [await run(['assertion', 'verify', valid]), await run(['assertion', 'verify'], `X-Session-Assertion: ${valid}\n`)]) {
      expect(result).toMatchObject({ code: 0, stderr: 'valid\n' })
      expect(JSON.parse(result.stdout)).toMatchObject({ iss: 'sessiongate', aud: 'app', new: true, data: {} })
    }
  })

  test('says why one is refused', async () => {
    const refused: [string, string[], RegExp][] = [
      [token(secretNamed('other'), 'app'), [], /bad signature/],
      [token(secretNamed('assertion'), 'shop'), [], /audience is none of app/],
      [token(secretNamed('assertion'), 'app'), ['--audience', 'shop'], /audience is none of shop/],
      [token(secretNamed('assertion'), 'app', -5), [], /expired \d+ s ago/],
      ['a.b', [], /not a compact JWS/],
    ]
    const results = await runAll(...refused.map(([jws, args]) => ['assertion', 'verify', jws, ...args]))
    refused.forEach(([, , reason], index) => expect(results[index]).toMatchObject({ code: 1, stderr: expect.stringMatching(reason) as string }))
  })
})
