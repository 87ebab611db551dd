import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { effectiveConfig } from '../../src/config/effective.ts'
import { load, minimalWith, problemsOf, secretNamed } from '../support/config-samples.ts'

const shared = { kind: 'redis', recordFormat: { kind: 'flask-session' } }
const withShared = (changes: Record<string, unknown> = {}): unknown => minimalWith({ store: shared, 'session.cookie.name': 'session', ...changes })
const route = (changes: object): unknown => withShared({ 'routes.0': { upstream: 'app', ...changes } })

test('the rest is as Flask-Session has it, and what is lost is said', async () => {
  const { config, warnings } = await load(withShared())
  expect(config.store).toMatchObject({ keyPrefix: 'session:', recordFormat: { kind: 'flask-session', serializer: 'msgpack', secretKeyEncoding: 'text', permanentLifetime: 31 * 86_400_000 } })
  expect(warnings.find(({ path }) => path === 'store.recordFormat')?.message).toMatch(/overwrites sessions without comparing/)
})

test('its key comes from a file too, and is never shown', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-config-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await writeFile(join(directory, 'key'), `${secretNamed('app')}\n`, { mode: 0o600 })
  const { config } = await load(withShared({ store: { kind: 'redis', recordFormat: { kind: 'flask-session', secretKeyFile: 'key' } } }), { baseDir: directory })
  expect(config.store).toMatchObject({ recordFormat: { secretKey: secretNamed('app') } })
  expect(JSON.stringify(effectiveConfig(config))).not.toContain(secretNamed('app'))
})

test.each<[string, unknown, string, RegExp]>([
  ['a cluster', withShared({ store: { ...shared, cluster: ['127.0.0.1:7000'] } }), 'store.cluster', /store\.url/],
  ['encryption at rest', withShared({ 'keys.record': [{ id: 'r1', secret: secretNamed('record') }] }), 'keys.record', /leave it out/],
  ['revocation by epochs', withShared({ 'session.subject': 'user', 'session.revocation': true }), 'session.revocation', /leave it out/],
  ['a limit per subject', withShared({ 'session.subject': 'user', 'session.maxPerSubject': 3 }), 'session.maxPerSubject', /leave it out/],
  ['an idle lifetime of our own', withShared({ 'session.idle': '30m' }), 'session.idle', /permanentLifetime/],
  ['an absolute lifetime', withShared({ 'session.absolute': '24h' }), 'session.absolute', /permanentLifetime/],
  ['the cookie name left to chance', minimalWith({ store: shared, listen: '0.0.0.0:8443', trustedProxies: ['10.0.0.0/8'], 'session.cookie.secure': true }), 'session.cookie.name', /SESSION_COOKIE_NAME/],
  ['migrated sessions', route({ migrated: { from: 'flask-session' } }), 'routes.0.migrated', /shared already/],
  ['an app with its signed cookie', route({ adapter: { kind: 'flask', secretKey: secretNamed('flask') } }), 'routes.0.adapter', /store of its own/],
  ['the app behind the gateway with another cookie', route({ adapter: { kind: 'flask-session', cookieName: 'other' } }), 'routes.0.adapter.cookieName', /session\.cookie\.name/],
  ['cookies kept beside the session', route({ cookies: [{ name: 'a', do: 'store' }] }), 'routes.0.cookies.0.do', /encrypt or pass/],
  ['a serializer nobody has', withShared({ store: { kind: 'redis', recordFormat: { kind: 'flask-session', serializer: 'pickle' } } }), 'store.recordFormat.serializer', /msgpack/],
  ['an empty key', withShared({ store: { kind: 'redis', recordFormat: { kind: 'flask-session', secretKey: '' } } }), 'store.recordFormat.secretKey', /empty/],
])('%s is refused, with what to do', async (_what, tree, path, message) => {
  const problems = await problemsOf({ tree })
  expect(problems.map((problem) => problem.path)).toEqual([path])
  expect(problems.find((problem) => problem.path === path)?.message).toMatch(message)
})
