import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '../errors.ts'
import { assertHolds, bytesOf, versionOf } from './conformance-bench.ts'
import type { CaseTable } from './conformance.ts'

const MAX_KEY_LENGTH = 200
const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, value) => value)
const EVERY_KEY_CHARACTER = String.fromCharCode(...Array.from({ length: 95 }, (_, offset) => 32 + offset))

/** Keys and values come back as they went in, or not at all. */
export const valueCases: CaseTable = [
  ['all 256 byte values survive, in any order and at both ends', async ({ store, stored }) => {
    for (const bytes of [EVERY_BYTE, EVERY_BYTE.toReversed(), Uint8Array.of(0), Uint8Array.of(0, 0, 255), Uint8Array.of(13, 10)]) {
      const { key } = await stored(bytes)
      assertHolds(await store.load(key), bytes)
    }
  }],

  ['an empty record is a record', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(new Uint8Array(0))
    assertHolds(await store.load(key), new Uint8Array(0))
    const next = versionOf(await store.replace(key, version, new Uint8Array(0), inMinutes(60)))
    assertHolds(await store.load(key), new Uint8Array(0))
    versionOf(await store.replace(key, next, bytesOf('one'), inMinutes(60)))
  }],

  ['records of every size up to the limit survive create, replace, conflict and destroy', async ({ store, stored, inMinutes, maxValueBytes }) => {
    for (const size of [1, 255, 4_095, 4_096, 16_384, 65_535, 65_536, 262_144, maxValueBytes].filter((bytes) => bytes <= maxValueBytes)) {
      const [first, second] = [randomBytes(size), randomBytes(size)]
      const { key, version } = await stored(first)
      assertHolds(await store.load(key), first)
      versionOf(await store.replace(key, version, second, inMinutes(60)))
      assertHolds(await store.load(key), second)
      assertHolds(await store.destroy(key, inMinutes(5)), second)
    }
  }],

  ['a record that shrinks leaves no tail, one that grows is whole', async ({ store, stored, inMinutes, maxValueBytes }) => {
    const [long, short] = [randomBytes(Math.min(20_000, maxValueBytes)), randomBytes(10)]
    const { key, version } = await stored(long)
    const second = versionOf(await store.replace(key, version, short, inMinutes(60)))
    assertHolds(await store.load(key), short)
    versionOf(await store.replace(key, second, long, inMinutes(60)))
    assertHolds(await store.load(key), long)
  }],

  ['a record far over the limit is stored whole or refused whole', async ({ store, stored, inMinutes, maxValueBytes }) => {
    const { key, version } = await stored(bytesOf('small'))
    const large = Buffer.alloc(4 * maxValueBytes, 7)
    try {
      const written = await store.replace(key, version, large, inMinutes(60))
      versionOf(written)
      assertHolds(await store.load(key), large)
    } catch (error) {
      assert.ok(error instanceof StoreUnavailableError, `expected StoreUnavailableError, caught ${String(error)}`)
      assertHolds(await store.load(key), bytesOf('small'))
    }
  }],

  ['the bytes given and the bytes loaded belong to the caller', async ({ store, key, inMinutes }) => {
    const own = key()
    const given = Buffer.from('given')
    const creating = store.create(own, given, inMinutes(60))
    given.fill(0)
    const version = versionOf(await creating)
    const loaded = await store.load(own)
    assertHolds(loaded, bytesOf('given'))
    loaded.bytes.fill(0)
    const again = await store.load(own)
    assertHolds(again, bytesOf('given'))
    const replacement = Buffer.from('replacement')
    const replacing = store.replace(own, version, replacement, inMinutes(60))
    replacement.fill(0)
    versionOf(await replacing)
    await store.load(own)
    assertHolds(await store.load(own), bytesOf('replacement'))
    assertHolds(again, bytesOf('given'))
  }],

  ['a view into a larger buffer stores the view alone', async ({ store, stored }) => {
    const view = EVERY_BYTE.subarray(65, 70)
    const { key } = await stored(view)
    assertHolds(await store.load(key), bytesOf('ABCDE'))
  }],

  ['many records loaded at once do not mix', async ({ store, stored }) => {
    const records = await Promise.all(Array.from({ length: 64 }, async (_, index) => {
      const bytes = randomBytes(index * 97)
      return { bytes, ...await stored(bytes) }
    }))
    const loaded = await Promise.all(records.map(({ key }) => store.load(key)))
    loaded.forEach((record, index) => assertHolds(record, records[index]!.bytes))
  }],

  ['keys may have 200 characters', async ({ store, stored, key }) => {
    for (const name of [key().padEnd(MAX_KEY_LENGTH, 'x'), key().padEnd(MAX_KEY_LENGTH, '/')]) {
      await stored(bytesOf(name), name)
      assertHolds(await store.load(name), bytesOf(name))
    }
  }],

  ['every printable ASCII character may stand in a key, the space too', async ({ store, stored, key }) => {
    const name = `${key()} ${EVERY_KEY_CHARACTER} {tag} %s $1 \\0 ../..`
    await stored(bytesOf('one'), name)
    assertHolds(await store.load(name), bytesOf('one'))
  }],

  ['keys that differ in case, length or trailing space are different keys', async ({ store, stored, key }) => {
    const base = `${key()}a`
    const names = [base, base.toUpperCase(), base.toLowerCase(), `${base} `, ` ${base}`, `${base}\\`, base.slice(0, -1), `${base}a`, `${base}*`, `${base}%`]
    const distinct = [...new Set(names)]
    for (const name of distinct) await stored(bytesOf(name), name)
    for (const name of distinct) assertHolds(await store.load(name), bytesOf(name))
  }],

  ['keys that are names in JavaScript are plain keys', async ({ store, stored, key }) => {
    const suffix = key()
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const unused = `${name}.${suffix}`
      assert.equal(await store.load(unused), undefined)
      await stored(bytesOf(name), unused)
      assertHolds(await store.load(unused), bytesOf(name))
    }
    for (const name of ['__proto__', 'constructor', 'toString']) assert.equal(await store.load(name), undefined)
  }],
]
