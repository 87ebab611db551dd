import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { effectiveConfig } from '../../src/config/effective.ts'
import { load, minimalWith, problemsOf, secretNamed } from '../support/config-samples.ts'

const flask = { kind: 'flask', secretKey: secretNamed('flask') }
const route = (changes: object): unknown => minimalWith({ 'routes.0': { upstream: 'app', ...changes } })

test('the least a Flask app needs is its key; the rest is as Flask has it', async () => {
  const { config } = await load(route({ adapter: flask }))
  expect(config.routes[0]?.adapter).toEqual({
    ...flask, secretKeyEncoding: 'text', fallbacks: [], cookieName: 'session', cookiePath: '/', salt: 'cookie-session', keyDerivation: 'hmac', digest: 'sha1',
    permanentLifetime: 31 * 86_400_000, sortKeys: true, foreignTags: 'refuse', legacyTimestamps: false, adopt: true,
  })
})

test('keys come from files too, and are never shown', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-config-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  for (const name of ['now', 'before']) await writeFile(join(directory, name), `${secretNamed(name)}\n`, { mode: 0o600 })
  const { config } = await load(route({ adapter: { kind: 'flask', secretKeyFile: 'now', fallbacks: [{ secretKeyFile: 'before' }] } }), { baseDir: directory })
  expect(config.routes[0]?.adapter).toMatchObject({ secretKey: secretNamed('now'), fallbacks: [{ secretKey: secretNamed('before') }] })
  const shown = JSON.stringify(effectiveConfig(config))
  expect(shown).not.toContain(secretNamed('now'))
  expect(shown).not.toContain(secretNamed('before'))
})

test.each([
  ['a Flask adapter without its key', { adapter: { kind: 'flask' } }, 'routes.0.adapter.secretKey'],
  ['an empty key', { adapter: { kind: 'flask', secretKey: '' } }, 'routes.0.adapter.secretKey'],
  ['a digest that Node does not know', { adapter: { ...flask, digest: 'md99' } }, 'routes.0.adapter.digest'],
  ['a kind nobody knows', { adapter: { kind: 'bottle' } }, 'routes.0.adapter.kind'],
  ['fallbacks that are one text, which Flask would read as one-letter keys', { adapter: { ...flask, fallbacks: 'old' } }, 'routes.0.adapter.fallbacks'],
  ['an adapter where there is no session', { session: 'none', adapter: flask }, 'routes.0.adapter'],
  ['an id to store where the session is only read', { session: 'read', adapter: { kind: 'flask-session' } }, 'routes.0.adapter'],
  ['cookies where there is no session', { session: 'none', cookies: [{ name: 'a', do: 'drop' }] }, 'routes.0.cookies'],
  ['a stored cookie where the session is only read', { session: 'read', cookies: [{ name: 'a', do: 'store' }] }, 'routes.0.cookies.0.do'],
  ['a rule for both a name and a pattern', { cookies: [{ name: 'a', pattern: 'b*', do: 'drop' }] }, 'routes.0.cookies.0.name'],
  ['a rule for neither', { cookies: [{ do: 'drop' }] }, 'routes.0.cookies.0.name'],
  ['a rule for the session cookie itself', { cookies: [{ name: 'session', do: 'store' }] }, 'routes.0.cookies.0.name'],
  ['adopt where nothing is stored', { cookies: [{ name: 'a', do: 'encrypt', adopt: true }] }, 'routes.0.cookies.0.adopt'],
  ['requireValue without session: require', { requireValue: { path: 'user', equals: 'x' } }, 'routes.0.requireValue'],
  ['requireValue without a value', { session: 'require', requireValue: { path: 'user' } }, 'routes.0.requireValue.equals'],
  ['requireValue with two', { session: 'require', requireValue: { path: 'user', equals: 'x', in: ['y'] } }, 'routes.0.requireValue.equals'],
])('%s is refused', async (_what, changes, path) => {
  expect((await problemsOf({ tree: route(changes) })).map((problem) => problem.path)).toContain(path)
})

test('a weak key, and an id that stays the same at login, are remarked on', async () => {
  const { warnings } = await load(route({ adapter: { kind: 'flask', secretKey: 'legacy-demo-key' } }))
  expect(warnings.map(({ path }) => path)).toEqual(['routes.0.adapter.secretKey', 'routes.0.adapter'])
  const quiet = await load(minimalWith({ 'routes.0': { upstream: 'app', adapter: { kind: 'flask', secretKey: 'legacy-demo-key', adopt: false } }, 'session.rotateOn': ['username'] }))
  expect(quiet.warnings).toEqual([])
})
