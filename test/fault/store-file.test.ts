import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { FileStoreOptions } from '../../src/stores/file.ts'
import { createFileStore } from '../../src/stores/file.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { startProcess, startTypeScript } from '../support/processes.ts'
import { waitFor } from '../support/wait-for.ts'

const WRITER = new URL('../support/file-store-writer.ts', import.meta.url)
const directories: string[] = []
const stores: SessionStore[] = []

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function directory(): string {
  directories.push(mkdtempSync(join(tmpdir(), 'sessiongate-fault-')))
  return join(directories.at(-1)!, 'data')
}

function openFile(options: FileStoreOptions): SessionStore {
  const store = createFileStore(options)
  stores.push(store)
  return store
}

const inAnHour = () => (systemClock() + 3_600_000) as EpochMs

describe('processes that share a directory', () => {
  test('every write a killed process had acknowledged is there, whole', async () => {
    const path = directory()
    const acknowledged: string[] = []
    for (const name of ['first', 'second']) {
      await using writer = startTypeScript(WRITER, [path, 'create', name])
      await waitFor(() => writer.stdoutLines.length > 500, () => `writes; ${writer.stderr}`, 15_000)
      await writer.kill()
      acknowledged.push(...writer.stdoutLines)
    }
    const store = openFile({ path })
    for (const key of acknowledged) {
      const record = await store.load(key)
      expect(record && Buffer.from(record.bytes).toString()).toBe(key.repeat(20))
    }
  })

  test('a process killed in the middle of its writes does not stop the others', async () => {
    const path = directory()
    const store = openFile({ path })
    await using writer = startTypeScript(WRITER, [path, 'create', 'victim'])
    await waitFor(() => writer.stdoutLines.length > 100, () => `writes; ${writer.stderr}`, 15_000)
    await writer.kill()
    const startedAt = performance.now()
    expect(await store.create('after', Buffer.from('x'), inAnHour())).toMatchObject({ outcome: 'stored' })
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  test('three processes that add to one record lose no addition', async () => {
    const path = directory()
    const store = openFile({ path })
    await store.create('counter', Buffer.from('0'), inAnHour())
    await using first = startTypeScript(WRITER, [path, 'count', 'first', '300'])
    await using second = startTypeScript(WRITER, [path, 'count', 'second', '300'])
    for (let added = 0; added < 300;) {
      const record = (await store.load('counter'))!
      const next = Number(Buffer.from(record.bytes).toString()) + 1
      if ((await store.replace('counter', record.version, Buffer.from(String(next)), inAnHour())).outcome === 'stored') added++
    }
    for (const writer of [first, second]) expect(await writer.exited, writer.stderr).toEqual({ code: 0, signal: null })
    expect(String(Buffer.from((await store.load('counter'))!.bytes))).toBe('900')
  })
})

describe('the directory', () => {
  test('belongs to its owner alone', () => {
    const path = directory()
    openFile({ path })
    expect(statSync(path).mode & 0o777).toBe(0o700)
    for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o777).toBe(0o600)
  })

  test('may hold a dot in its name and be missing several levels', async () => {
    const path = join(directory(), 'state.d', 'v1.2')
    const store = openFile({ path })
    await store.create('a', Buffer.from('x'), inAnHour())
    expect(readdirSync(path).sort()).toEqual(['data.mdb', 'lock.mdb'])
  })

  test.each([
    ['a text in place of the database', (path: string) => writeFileSync(join(path, 'data.mdb'), 'not a database, but long enough to be read '.repeat(500)), /not an LMDB database/],
    ['a few bytes in place of the database', (path: string) => writeFileSync(join(path, 'data.mdb'), 'x'), /not an LMDB database/],
    ['a directory in place of the database', (path: string) => mkdirSync(join(path, 'data.mdb')), /EISDIR|directory/],
  ])('with %s is refused, and the file is left as it was', (_name, spoil, message) => {
    const path = directory()
    mkdirSync(path)
    spoil(path)
    expect(() => createFileStore({ path })).toThrow(StoreUnavailableError)
    expect(() => createFileStore({ path })).toThrow(message)
    expect(existsSync(join(path, 'lock.mdb'))).toBe(false)
  })

  test('whose database was cut short is refused instead of killing the process', async () => {
    const path = directory()
    const store = createFileStore({ path })
    for (let index = 0; index < 50; index++) await store.create(`key-${index}`, Buffer.alloc(20_000, index), inAnHour())
    await store.close()
    for (const keptBytes of [200_000, 8_192, 4_096, 100]) {
      truncateSync(join(path, 'data.mdb'), keptBytes)
      expect(() => createFileStore({ path })).toThrow(/was cut|not an LMDB/)
    }
  })

  test('with an LMDB database of another program is refused', async () => {
    const path = directory()
    const foreign = openLmdb({ path, noSubdir: false })
    await foreign.openDB({ name: 'accounts' }).put('a', 1)
    await foreign.close()
    expect(() => createFileStore({ path })).toThrow(/another program \(accounts\)/)
  })

  test('with a later format is refused', async () => {
    const path = directory()
    await createFileStore({ path }).close()
    const later = openLmdb({ path, noSubdir: false })
    await later.openDB({ name: 'sessiongate', encoding: 'json' }).put('format', 2)
    await later.close()
    expect(() => createFileStore({ path })).toThrow(/format 2; this version reads format 1/)
  })

  test('that cannot be written is named', () => {
    const path = directory()
    writeFileSync(path, 'a file')
    expect(() => createFileStore({ path })).toThrow(/data.*EEXIST|EEXIST.*data|ENOTDIR/)
  })
})

test('a store opened again holds what it held, with the same versions', async () => {
  const path = directory()
  const before = createFileStore({ path })
  const created = await before.create('a', Buffer.from('kept'), inAnHour())
  await before.destroy('b', inAnHour())
  await before.close()

  const after = openFile({ path, durability: 'power' })
  expect(await after.load('a')).toMatchObject({ version: created.outcome === 'stored' && created.version })
  expect(await after.create('b', Buffer.from('late'), inAnHour())).toEqual({ outcome: 'missing' })
})

test('a full disk refuses writes by name, serves reads, and kills nobody', async () => {
  const path = directory()
  const loader = new URL('../support/typescript-loader.mjs', import.meta.url).href
  const limited = 'ulimit -f 2000 && exec "$@"'                       // blocks of 1 KB
  await using writer = startProcess('bash', ['-c', limited, 'bash', process.execPath, '--import', loader, WRITER.pathname, path, 'fill', 'x'])
  const { created, outcomes, readable } = await writer.waitForJson<{ created: number; outcomes: string[]; readable: boolean }>(() => true)
  expect(created).toBeGreaterThan(20)
  expect(outcomes).toHaveLength(10)
  for (const outcome of outcomes) expect(outcome).toMatch(/failed to create: File too large/)
  expect(readable).toBe(true)
  expect(await writer.exited).toEqual({ code: 0, signal: null })
})

test('the sweeper removes what has expired, tombstones too, and nothing else', async () => {
  const path = directory()
  let now = systemClock()
  const store = openFile({ path, clock: () => now, sweepIntervalMs: 10 })
  await Promise.all(Array.from({ length: 600 }, (_, index) => store.create(`dead-${index}`, Buffer.from('x'), (now + 1_000) as EpochMs)))
  await store.destroy('tombstone', (now + 1_000) as EpochMs)
  await store.create('alive', Buffer.from('x'), (now + 60_000) as EpochMs)
  now = (now + 1_000) as EpochMs

  const looker = openLmdb({ path, noSubdir: false })
  const entries = looker.openDB({ name: 'sessions', encoding: 'binary', useVersions: true })
  await waitFor(() => {
    entries.resetReadTxn()
    return entries.getKeysCount() === 1
  }, () => `one entry (there are ${entries.getKeysCount()})`)
  expect(await store.load('alive')).toBeDefined()
  await looker.close()
})

test('a database that grows far beyond its first size is read by a process that opened it small', async () => {
  const path = directory()
  const reader = openFile({ path })
  await using writer = startTypeScript(WRITER, [path, 'create', 'x'.repeat(100)])
  await waitFor(() => writer.stdoutLines.length > 3_000, () => `writes; ${writer.stderr}`, 15_000)
  await writer.kill()
  for (const key of writer.stdoutLines) expect((await reader.load(key))?.bytes.length).toBe(20 * key.length)
})
