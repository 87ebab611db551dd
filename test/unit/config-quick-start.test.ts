import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { quickStart } from '../../src/config/quick-start.ts'
import { createFile, stateDirectory } from '../../src/config/state-directory.ts'
import { ConfigInvalidError } from '../../src/errors.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'quick-start-'))
})
afterEach(async () => {
  await chmod(home, 0o700)
  await rm(home, { recursive: true })
})

test('one URL is a configuration: a route, an upstream, a durable store, keys', async () => {
  const { source, warnings } = await quickStart('http://127.0.0.1:5000', { XDG_STATE_HOME: home })
  const { config, warnings: more } = await loadConfig(source)
  expect(config).toMatchObject({
    listen: [{ host: '127.0.0.1', port: 8080 }],
    session: { cookie: { name: 'session', secure: false } },
    store: { kind: 'file', path: join(home, 'sessiongate', 'sessions') },
    upstreams: { app: { targets: [{ origin: 'http://127.0.0.1:5000' }] } },
    routes: [{ path: '/', upstream: 'app', session: 'use' }],
  })
  expect(more).toEqual([])
  expect(warnings).toEqual([{ path: 'keys', message: expect.stringMatching(/For production.*sessiongate init/) as string }])
  expect(JSON.stringify(warnings)).not.toContain(config.keys.cookie[0]?.secret)
})

test('keys are kept, for their owner alone, and differ', async () => {
  const load = async () => (await loadConfig((await quickStart('http://127.0.0.1:5000', { XDG_STATE_HOME: home })).source)).config.keys
  const first = await load()
  expect(await load()).toEqual(first)
  expect(first.cookie[0]?.secret).not.toBe(first.assertion[0]?.secret)
  for (const name of ['cookie.key', 'assertion.key']) expect((await stat(join(home, 'sessiongate', name))).mode & 0o777).toBe(0o600)
  expect((await stat(join(home, 'sessiongate'))).mode & 0o777).toBe(0o700)
})

test('a new secret has a new id', async () => {
  const ids = async () => (await loadConfig((await quickStart('http://127.0.0.1:5000', { XDG_STATE_HOME: home })).source)).config.keys.cookie.map(({ id }) => id)
  const before = await ids()
  await rm(join(home, 'sessiongate', 'cookie.key'))
  expect(await ids()).not.toEqual(before)
})

test('processes that start at once agree on the keys', async () => {
  const module = new URL('../../src/config/state-directory.ts', import.meta.url).href
  const script = `const { keptSecret } = await import(${JSON.stringify(module)}); process.stdout.write(await keptSecret(${JSON.stringify(home)}, 'k'))`
  const secrets = await Promise.all(Array.from({ length: 6 }, async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [secret] = await Promise.all([text(child.stdout), once(child, 'exit')])
    return secret
  }))
  expect(new Set(secrets)).toEqual(new Set([(await readFile(join(home, 'k'), 'utf8')).trim()]))
  expect(await readdir(home)).toEqual(['k'])
})

test('any flag still wins', async () => {
  const { source } = await quickStart(['http://127.0.0.1:5000', '127.0.0.1:5001'], { XDG_STATE_HOME: home })
  const { config } = await loadConfig({ ...source, flags: { 'store.url': 'redis://127.0.0.1:6379', 'session.idle': '20m', 'routes.0.session': 'read', listen: '127.0.0.1:0' } })
  expect(config).toMatchObject({ store: { kind: 'redis' }, session: { idle: 1_200_000 }, routes: [{ session: 'read' }], listen: [{ port: 0 }] })
  expect(config.upstreams['app']?.targets.map(({ origin }) => origin)).toEqual(['http://127.0.0.1:5000', 'http://127.0.0.1:5001'])
})

test.each(['ftp://h', 'http://h:1/path', 'nonsense', 'http://user:hunter2@h'])('%s is no upstream', async (url) => {
  const error: unknown = await quickStart(url, { XDG_STATE_HOME: home }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(ConfigInvalidError)
  expect(String(error)).not.toContain('hunter2')
  expect(await readdir(home)).toEqual([])
})

test('a state directory that cannot be made is explained', async () => {
  const file = join(home, 'a-file')
  await createFile(file, '')
  await expect(quickStart('http://127.0.0.1:5000', { XDG_STATE_HOME: file })).rejects.toThrow(/cannot be kept in .*XDG_STATE_HOME/)
})

test('the state directory is XDG\'s', () => {
  expect(stateDirectory({ XDG_STATE_HOME: '/state', HOME: '/home/me' })).toBe('/state/sessiongate')
  expect(stateDirectory({ XDG_STATE_HOME: 'relative', HOME: '/home/me' })).toBe('/home/me/.local/state/sessiongate')
  expect(stateDirectory({ HOME: '/home/me' })).toBe('/home/me/.local/state/sessiongate')
})
