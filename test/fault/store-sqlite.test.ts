import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { SqliteStoreOptions } from '../../src/stores/sqlite.ts'
import { createSqliteStore } from '../../src/stores/sqlite.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { startProcess, startTypeScript } from '../support/processes.ts'
import { inAnHour, versionOf } from '../support/store-faults.ts'
import { waitFor } from '../support/wait-for.ts'

const WRITER = new URL('../support/sqlite-store-writer.ts', import.meta.url)
const directories: string[] = []
const stores: SessionStore[] = []
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function file(): string {
  directories.push(mkdtempSync(join(tmpdir(), 'sessiongate-sqlite-')))
  return join(directories.at(-1)!, 'data', 'sessions.sqlite')
}

function open(options: SqliteStoreOptions): SessionStore {
  const store = createSqliteStore(options)
  stores.push(store)
  return store
}

describe('processes that share a file', () => {
  test('three that add to one record lose no addition', async () => {
    const path = file()
    const store = open({ path })
    await store.create('counter', Buffer.from('0'), inAnHour())
    await using first = startTypeScript(WRITER, [path, 'count', '60'])
    await using second = startTypeScript(WRITER, [path, 'count', '60'])
    for (let added = 0; added < 60;) {
      const record = (await store.load('counter'))!
      const next = Number(Buffer.from(record.bytes).toString()) + 1
      if ((await store.replace('counter', record.version, Buffer.from(String(next)), inAnHour())).outcome === 'stored') added++
    }
    for (const writer of [first, second]) expect(await writer.exited, writer.stderr).toEqual({ code: 0, signal: null })
    expect(String(Buffer.from((await store.load('counter'))!.bytes))).toBe('180')
  })

  test('every write a killed one had acknowledged is there', async () => {
    const path = file()
    const store = open({ path })
    await using writer = startTypeScript(WRITER, [path, 'create', '1000000'])
    await waitFor(() => writer.stdoutLines.length > 300, () => `writes; ${writer.stderr}`, 15_000)
    await writer.kill()
    for (const key of writer.stdoutLines) expect(String(Buffer.from((await store.load(key))!.bytes))).toBe(key)
  })
})

test('a lock held by another process is waited for without blocking this one, until the deadline', async () => {
  const path = file()
  const store = open({ path, timeoutMs: 300 })
  const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const replacing = store.replace('a', version, Buffer.from('y'), inAnHour())
  expect((await store.load('a'))?.version).toBe(version)
  await expect(replacing).rejects.toThrow(/locked/)
  const second = store.replace('a', version, Buffer.from('y'), inAnHour())
  setTimeout(() => other.exec('COMMIT'), 50)
  versionOf(await second)
  other.close()
})

test('a full disk refuses writes, serves reads, and a logout that finds room still works', async () => {
  const path = file()
  const store = open({ path })
  const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
  const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
  const limited = 'ulimit -f 2000 && exec "$@"'                       // blocks of 1 KB
  await using writer = startProcess('bash', ['-c', limited, 'bash', process.execPath, '--import', loader, WRITER.pathname, path, 'fill'])
  const { refusal, isReadable } = await writer.waitForJson<{ refusal: string; isReadable: boolean }>(() => true)
  expect(refusal).toMatch(/full|disk I\/O error/)
  expect(isReadable).toBe(true)
  expect((await store.destroy('a', inAnHour()))?.version).toBe(version)
})

test('the file belongs to its owner alone, and so does what SQLite puts beside it', async () => {
  const path = file()
  await open({ path }).create('a', Buffer.from('x'), inAnHour())
  const directory = join(path, '..')
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  expect(readdirSync(directory).length).toBeGreaterThan(1)
  for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
})

test.each([
  ['a text in its place', (path: string) => writeFileSync(path, 'not a database, but long enough to be read '.repeat(50)), /not a database/],
  ['a directory in its place', (path: string) => mkdirSync(path), /EISDIR/],
])('%s is refused by name when the store is opened', (_name, spoil, message) => {
  const path = file()
  mkdirSync(join(path, '..'))
  spoil(path)
  expect(() => createSqliteStore({ path })).toThrow(StoreUnavailableError)
  expect(() => createSqliteStore({ path })).toThrow(message)
})

test('a damaged page is an answer that names the damage, not "no session"', async () => {
  const path = file()
  const before = createSqliteStore({ path })
  for (let index = 0; index < 200; index++) await before.create(`key ${index}`, Buffer.alloc(500, index), inAnHour())
  await before.close()
  const whole = new DatabaseSync(path)
  whole.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  whole.close()
  const size = statSync(path).size
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, Buffer.alloc(size - 8_192, 0xff), 0, size - 8_192, 8_192)
  closeSync(descriptor)
  const store = open({ path })
  await expect(store.load('key 7')).rejects.toThrow(/malformed/)
})

test('without the table, when it may not make it, says so', async () => {
  await expect(open({ path: file(), migrate: false }).load('a')).rejects.toThrow(/no such table.*set store.migrate/)
})

test('the sweeper deletes what has been dead for a minute, and nothing else', async () => {
  const path = file()
  let now = systemClock()
  const store = open({ path, sweepIntervalMs: 20, clock: () => now })
  await store.create('alive', Buffer.from('x'), (now + 3_600_000) as EpochMs)
  await store.create('just dead', Buffer.from('x'), (now + 60_000) as EpochMs)
  for (let index = 0; index < 600; index++) await store.create(`dead ${index}`, Buffer.from('x'), now)
  now = (now + 60_000) as EpochMs
  const looker = new DatabaseSync(path)
  const keys = () => looker.prepare('SELECT session_key FROM sessiongate_sessions ORDER BY 1').all().map((row) => (row as { session_key: string }).session_key)
  await waitFor(() => keys().length === 2, 'two rows')
  expect(keys()).toEqual(['alive', 'just dead'])
  looker.close()
})
