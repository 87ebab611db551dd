import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { StoreConfig } from '../../src/config/store-schema.ts'
import { store as storeSchema } from '../../src/config/store-schema.ts'
import { ConfigInvalidError, StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { StoreCall } from '../../src/stores/guarded-store.ts'
import { openStore } from '../../src/stores/open-store.ts'
import { startRedis } from '../support/servers.ts'

const directory = mkdtempSync(join(tmpdir(), 'sessiongate-open-'))
afterAll(() => rmSync(directory, { recursive: true }))

const config = (input: unknown): StoreConfig => storeSchema.parse(input)
const later = () => (systemClock() + 60_000) as EpochMs

function module(name: string, source: string): string {
  const path = join(directory, name)
  writeFileSync(path, source)
  return path
}

test.each([
  ['memory', { kind: 'memory' }],
  ['file', { kind: 'file', path: join(directory, 'data') }],
])('opens %s, and tells the observer of its calls', async (kind, input) => {
  const calls: StoreCall[] = []
  const store = await openStore(config(input), { clock: systemClock, onCall: (call) => calls.push(call) })
  expect(store.kind).toBe(kind)
  expect(await store.create('a', Buffer.from('x'), later())).toMatchObject({ outcome: 'stored' })
  expect(calls).toEqual([{ operation: 'create', outcome: 'stored', durationMs: expect.any(Number) }])
  await store.close()
})

test('opens redis with a password from a file', async () => {
  await using server = await startRedis('--requirepass', 'secret')
  const passwordFile = module('password', 'secret\n')
  const store = await openStore(config({ kind: 'redis', url: server.url, passwordFile, keyPrefix: 'mine:' }), { clock: systemClock })
  await store.create('a', Buffer.from('x'), later())
  expect(await server.command('EXISTS', 'mine:a')).toBe(1)
  await store.close()
})

test('a networked store that is away opens, and says so when it is asked', async () => {
  const store = await openStore(config({ kind: 'redis', url: 'redis://127.0.0.1:1', timeout: '50ms' }), { clock: systemClock })
  await expect(store.ping()).rejects.toBeInstanceOf(StoreUnavailableError)
  await store.close()
})

test('a local store that cannot be opened rejects', async () => {
  const path = module('occupied', 'a file')
  await expect(openStore(config({ kind: 'file', path }), { clock: systemClock })).rejects.toBeInstanceOf(StoreUnavailableError)
})

test('a file that is not there is a problem of that key', async () => {
  const missing = config({ kind: 'redis', tls: { caFile: join(directory, 'none.pem') } })
  await expect(openStore(missing, { clock: systemClock })).rejects.toThrow(/store\.tls\.caFile: .*ENOENT/)
})

const CUSTOM = `
export default function open(options, { clock }) {
  const held = new Map()
  const none = async () => {}
  return {
    load: async (key) => ({ bytes: Buffer.from(options.greeting), version: key, expiresAt: clock() + 1000 }),
    create: none, replace: none, touch: none, destroy: none, ping: none, close: none,
  }
}`

test('opens a custom store with its options and the gateway\'s clock', async () => {
  const path = module('custom.mjs', CUSTOM)
  const store = await openStore(config({ kind: 'custom', module: path, options: { greeting: 'hello' } }), { clock: () => 5 as EpochMs })
  expect(store.kind).toBe('custom')
  const record = await store.load('a')
  expect(Buffer.from(record!.bytes).toString()).toBe('hello')
  expect(record!.expiresAt).toBe(1_005)
})

test.each([
  ['a path that is not there', './no/such/store.mjs', /cannot be found from/],
  ['a package that is not there', 'no-such-session-store', /npm install no-such-session-store/],
  ['a module without default export', module('empty.mjs', 'export const store = 1'), /no function as its default export/],
  ['a module that does not parse', module('broken.mjs', 'export default ('), /cannot be loaded/],
  ['a store that lacks methods', module('partial.mjs', 'export default () => ({ load() {} })'), /lacks create, replace, touch, destroy, ping, close/],
])('%s is a problem of store.module', async (_name, path, message) => {
  const opening = openStore(config({ kind: 'custom', module: path }), { clock: systemClock })
  await expect(opening).rejects.toBeInstanceOf(ConfigInvalidError)
  await expect(opening).rejects.toThrow(message)
})
