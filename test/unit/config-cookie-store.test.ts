import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { load, minimalWith, problemsOf, secretNamed } from '../support/config-samples.ts'

type Changes = Readonly<Record<string, unknown>>
const cookieStore: Changes = { 'store': { kind: 'cookie' } }
const flask = { kind: 'flask', secretKey: secretNamed('flask') }

describe('what cannot work is refused, each with its path and a remedy', () => {
  test.each<[string, Changes, string, RegExp]>([
    ['counting sessions', { 'session.subject': 'user.id', 'session.maxPerSubject': 2 }, 'session.maxPerSubject', /leave it out, or choose another store/],
    ['revocation by subject', { 'session.subject': 'user.id', 'session.revocation': true }, 'session.revocation', /needs a store at the server.*store\.notBefore/],
    ['migrated sessions', { 'routes.0.migrated': { from: 'flask-session' } }, 'routes.0.migrated', /choose another store/],
    ['taking over Flask\'s sessions', { 'routes.0.adapter': flask, 'session.rotateOn': ['user'] }, 'routes.0.adapter.adopt', /set adopt: false/],
    ['taking over an app\'s cookie', { 'routes.0.cookies': [{ name: 'old', do: 'store', adopt: true }] }, 'routes.0.cookies.0.adopt', /leave it out/],
    ['an app\'s cookie of one of our names', { 'routes.0.cookies': [{ name: 'session.1', do: 'pass' }] }, 'routes.0.cookies.0.name', /session\.cookie\.name/],
    ['an instant without a time', { 'store.notBefore': '2030-01-31' }, 'store.notBefore', /2030-01-31T12:00:00Z/],
    ['an instant without a zone', { 'store.notBefore': '2030-01-31T12:00:00' }, 'store.notBefore', /2030-01-31T12:00:00Z/],
    ['a day that is none', { 'store.notBefore': '2030-13-31T12:00:00Z' }, 'store.notBefore', /2030-01-31T12:00:00Z/],
    ['a user that nobody knows', { 'store.notBefore': '2030-01-31T12:00:00Z "ann"' }, 'store.notBefore', /set session\.subject/],
    ['an instant and a file', { 'store.notBefore': '2030-01-31T12:00:00Z', 'store.notBeforeFile': '/nowhere' }, 'store.notBeforeFile', /not both/],
    ['a file that is not there', { 'store.notBeforeFile': '/nowhere/not-before' }, 'store.notBeforeFile', /no such file/],
    ['a timeout of nothing', { 'store.timeout': '1s' }, 'store.timeout', /./],
  ])('%s', async (_, changes, path, message) => {
    const problems = await problemsOf({ tree: minimalWith({ ...cookieStore, ...changes }) })
    expect(problems.map((problem) => problem.path)).toEqual([path])
    expect(problems[0]?.message).toMatch(message)
  })

  test('none of it with another store', async () => {
    const { config } = await load(minimalWith({ 'session.subject': 'user.id', 'session.maxPerSubject': 2, 'session.revocation': true, 'routes.0.cookies': [{ name: 'session.1', do: 'store', adopt: true }] }))
    expect(config.store.kind).toBe('file')
  })

  test('an unchanged Flask app may stand behind it, once it takes nothing over', async () => {
    await load(minimalWith({ ...cookieStore, 'routes.0.adapter': { ...flask, adopt: false }, 'session.rotateOn': ['user'] }))
  })
})

describe('what has to be known is said', () => {
  test.each<[string, Changes, string, RegExp]>([
    ['small request heads', { 'limits.maxHeaderBytes': '8KB' }, 'limits.maxHeaderBytes', /431/],
    ['record keys', { 'keys.record': [{ id: 'r1', secret: secretNamed('record') }] }, 'keys.record', /no effect/],
    ['rechecks of WebSockets', { 'routes.0.websocket.recheck': '1s' }, 'routes.0.websocket.recheck', /websocket\.maxAge/],
    ['a limit the cookies do not hold', { 'session.maxBytes': '12KB', 'upstreams.app.maxHeaderBytes': 65_536 }, 'session.maxBytes', /the cookies hold about 8\d{3} bytes/],
  ])('%s', async (_, changes, path, message) => {
    const { warnings } = await load(minimalWith({ ...cookieStore, ...changes }))
    expect(warnings.map((warning) => warning.path)).toEqual(['store.kind', path])
    expect(warnings[1]?.message).toMatch(message)
  })

  test('always: no compare-and-set, and what a copied cookie is worth', async () => {
    const { warnings } = await load(minimalWith(cookieStore))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({ path: 'store.kind', message: expect.stringMatching(/the last answer wins.*a copied cookie.*also after a logout.*docs\/stores\.md/) })
    expect((await load(minimalWith({}))).warnings).toEqual([])
  })
})

const directory = mkdtempSync(join(tmpdir(), 'not-before-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('notBefore can stand in a file, which is watched, and is no secret', async () => {
  const file = join(directory, 'not-before')
  writeFileSync(file, '2030-01-31T12:00:00.000Z\n', { mode: 0o644 })
  const { config, files, warnings } = await load(minimalWith({ store: { kind: 'cookie', notBeforeFile: 'not-before' } }), { baseDir: directory })
  expect(config.store).toMatchObject({ notBefore: '2030-01-31T12:00:00.000Z', notBeforeFile: file })
  expect([...files.keys()]).toContain(file)
  expect(warnings).toHaveLength(1)
  const flagged = await load(minimalWith({ store: { kind: 'cookie', notBeforeFile: file } }), { flags: { 'store.notBefore': '2031-01-01T00:00Z' } })
  expect(flagged.config.store).toMatchObject({ notBefore: '2031-01-01T00:00Z' })
})
