import { appendFile, mkdir, mkdtemp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { watchConfig } from '../../src/config/watch.ts'
import { waitFor } from '../support/wait-for.ts'

const SETTLE_MS = 30
let directory: string
let stop: (() => void) | undefined
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'watch-'))
})
afterEach(async () => {
  stop?.()
  stop = undefined
  await rm(directory, { recursive: true })
})

/**
 * Watches without polling, so that what is seen was told by the file system. What was read is said to be something else than what is
 * there, which is a change of its own: once it was seen, the watching has begun.
 */
async function watching(files: readonly string[], pollMs = 3_600_000): Promise<{ readonly changes: number; changed(count: number): Promise<unknown> }> {
  let calls = 0
  stop = watchConfig(new Map(files.map((file) => [file, 'of before'])), () => void calls++, { settleMs: SETTLE_MS, pollMs })
  await waitFor(() => calls === 1, 'the watching to begin')
  return {
    get changes() {
      return calls - 1
    },
    changed: (count) => waitFor(() => calls > count, () => `${count} changes, seen ${calls - 1}`),
  }
}

describe('a change is seen', () => {
  test('of a file written in place', async () => {
    const file = join(directory, 'gate.yaml')
    await writeFile(file, 'a')
    const seen = await watching([file])
    await writeFile(file, 'b')
    await seen.changed(1)
  })

  test('of a file an editor renames into place, again and again', async () => {
    const file = join(directory, 'gate.yaml')
    await writeFile(file, '0')
    const seen = await watching([file])
    for (let version = 1; version <= 3; version++) {
      await writeFile(`${file}.new`, String(version))
      await rename(`${file}.new`, file)
      await seen.changed(version)
    }
  })

  test('of a Kubernetes volume, which swaps its ..data link', async () => {
    const volume = join(directory, 'config')
    const publish = async (version: number): Promise<void> => {
      await mkdir(join(volume, `..${version}`), { recursive: true })
      await writeFile(join(volume, `..${version}`, 'gate.yaml'), String(version))
      await symlink(`..${version}`, join(volume, '..data_tmp'))
      await rename(join(volume, '..data_tmp'), join(volume, '..data'))
    }
    await publish(0)
    await symlink(join('..data', 'gate.yaml'), join(volume, 'gate.yaml'))
    const seen = await watching([join(volume, 'gate.yaml')])
    for (let version = 1; version <= 3; version++) {
      await publish(version)
      await rm(join(volume, `..${version - 1}`), { recursive: true })
      await seen.changed(version)
    }
  })

  test('of a release directory, which a link leads to, and of a file in it afterwards', async () => {
    for (const release of ['one', 'two']) {
      await mkdir(join(directory, release))
      await writeFile(join(directory, release, 'gate.yaml'), release)
    }
    const current = join(directory, 'current')
    await symlink('one', current)
    const seen = await watching([join(current, 'gate.yaml')])
    await symlink('two', `${current}.new`)
    await rename(`${current}.new`, current)
    await seen.changed(1)
    await writeFile(join(directory, 'two', 'gate.yaml'), 'two, changed')
    await seen.changed(2)
  })

  test('of a file that vanishes and comes back', async () => {
    const file = join(directory, 'secret')
    await writeFile(file, 'a')
    const seen = await watching([file])
    await unlink(file)
    await seen.changed(1)
    await writeFile(file, 'a')
    await seen.changed(2)
  })

  test('where the file system tells nothing, by looking', async () => {
    const missing = join(directory, 'not', 'there', 'yet')
    const seen = await watching([missing], 20)
    await mkdir(join(directory, 'not', 'there'), { recursive: true })
    await writeFile(missing, 'now')
    await seen.changed(1)
  })
})

test('many writes in a row are one change, and a time stamp is none', async () => {
  const file = join(directory, 'gate.yaml')
  await writeFile(file, 'a')
  const seen = await watching([file])
  await utimes(file, new Date(), new Date())
  await writeFile(file, 'a')
  await sleep(SETTLE_MS * 5)
  expect(seen.changes).toBe(0)
  for (let i = 0; i < 20; i++) await appendFile(file, 'x')
  await seen.changed(1)
  await sleep(SETTLE_MS * 5)
  expect(seen.changes).toBe(1)
})

test('after stop nothing is seen', async () => {
  const file = join(directory, 'gate.yaml')
  await writeFile(file, 'a')
  const seen = await watching([file])
  stop?.()
  await writeFile(file, 'b')
  await sleep(SETTLE_MS * 5)
  expect(seen.changes).toBe(0)
})

test('a change while one is being handled is handled after it', async () => {
  const file = join(directory, 'gate.yaml')
  await writeFile(file, '0')
  let running = 0
  let calls = 0
  let overlapped = false
  stop = watchConfig(new Map([[file, 'of before']]), async () => {
    calls++
    overlapped ||= running++ > 0
    if (calls === 1) await writeFile(file, 'changed meanwhile')
    await sleep(SETTLE_MS * 3)
    running--
  }, { settleMs: 5, pollMs: 20 })
  await waitFor(() => calls >= 2 && running === 0, 'two calls')
  expect(overlapped).toBe(false)
})
