import assert from 'node:assert/strict'
import type { Version } from '../session/session.ts'
import { assertConflict, assertHolds, bytesOf, versionOf } from './conformance-bench.ts'
import type { CaseTable } from './conformance.ts'

/** One caller after another: what each method returns, and what the next one then sees. */
export const recordCases: CaseTable = [
  ['a key that was never used holds nothing', async ({ store, key }) => {
    assert.equal(await store.load(key()), undefined)
  }],

  ['a created record is loaded with its bytes, version and expiry', async ({ store, stored }) => {
    const { key, version, expiresAt } = await stored(bytesOf('one'))
    const record = await store.load(key)
    assertHolds(record, bytesOf('one'))
    assert.equal(record.version, version)
    assert.equal(record.expiresAt, expiresAt)
  }],

  ['loading changes nothing', async ({ store, stored }) => {
    const { key } = await stored(bytesOf('one'))
    const [first, second] = [await store.load(key), await store.load(key)]
    assert.deepEqual(second, first)
  }],

  ['many loads at once each find what is under their own key', async ({ store, stored, key, inMinutes }) => {
    const records = await Promise.all(Array.from({ length: 70 }, (_, index) => stored(bytesOf(`record ${index}`))))
    const ended = await stored(bytesOf('ended'))
    await store.destroy(ended.key, inMinutes(5))
    const [first, second, third, ...found] = await Promise.all([key(), ended.key, key(), ...records.map((record) => record.key)].map((one) => store.load(one)))
    assert.deepEqual([first, second, third], [undefined, undefined, undefined])
    for (const [index, record] of found.entries()) assertHolds(record, bytesOf(`record ${index}`))
    for (const twice of await Promise.all([store.load(records[1]!.key), store.load(records[1]!.key)])) assertHolds(twice, bytesOf('record 1'))
  }],

  ['create on a live record is a conflict and leaves it', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('first'))
    assertConflict(await store.create(key, bytesOf('second'), inMinutes(60)), version, bytesOf('first'))
    const record = await store.load(key)
    assertHolds(record, bytesOf('first'))
    assert.equal(record.version, version)
  }],

  ['replace with the current version stores, and the next load sees it', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    const next = versionOf(await store.replace(key, version, bytesOf('two'), inMinutes(90)))
    const record = await store.load(key)
    assertHolds(record, bytesOf('two'))
    assert.equal(record.version, next)
    assert.equal(record.expiresAt, inMinutes(90))
  }],

  ['every write makes a version never seen before, also when the bytes are the same', async ({ store, stored, inMinutes }) => {
    const created = await stored(bytesOf('same'))
    const versions: Version[] = [created.version]
    for (let write = 0; write < 20; write++) {
      versions.push(versionOf(await store.replace(created.key, versions.at(-1)!, bytesOf('same'), inMinutes(60))))
    }
    assert.equal(new Set(versions).size, versions.length)
  }],

  ['replace with an older version is a conflict and changes nothing', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    const second = versionOf(await store.replace(key, version, bytesOf('two'), inMinutes(60)))
    assertConflict(await store.replace(key, version, bytesOf('late'), inMinutes(60)), second, bytesOf('two'))
    assertHolds(await store.load(key), bytesOf('two'))
  }],

  ['a version of another key, or of no record at all, is a conflict', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    const foreign = await stored(bytesOf('two'))
    for (const expected of [foreign.version, 'nonsense', '0', '1', '-1', 'NaN', '', `${version}0`]) {
      const written = await store.replace(key, expected as Version, bytesOf('late'), inMinutes(60))
      assertConflict(written, version, bytesOf('one'))
    }
    assertHolds(await store.load(key), bytesOf('one'))
  }],

  ['replace where nothing is stored is missing and stores nothing', async ({ store, stored, key, inMinutes }) => {
    const { version } = await stored(bytesOf('elsewhere'))
    const absent = key()
    assert.deepEqual(await store.replace(absent, version, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    assert.equal(await store.load(absent), undefined)
  }],

  ['a write sent twice, its answer lost, is harmless', async ({ store, key, inMinutes }) => {
    const twice = key()
    const created = versionOf(await store.create(twice, bytesOf('one'), inMinutes(60)))
    assertConflict(await store.create(twice, bytesOf('one'), inMinutes(60)), created, bytesOf('one'))
    const replaced = versionOf(await store.replace(twice, created, bytesOf('two'), inMinutes(60)))
    assertConflict(await store.replace(twice, created, bytesOf('two'), inMinutes(60)), replaced, bytesOf('two'))
    const record = await store.load(twice)
    assertHolds(record, bytesOf('two'))
    assert.equal(record.version, replaced)
  }],

  ['destroy returns the live record it ended', async ({ store, stored }) => {
    const { key, version, expiresAt } = await stored(bytesOf('one'))
    const ended = await store.destroy(key, expiresAt)
    assertHolds(ended, bytesOf('one'))
    assert.equal(ended.version, version)
    assert.equal(await store.load(key), undefined)
  }],

  ['destroy of nothing, and the second destroy, return nothing', async ({ store, stored, key, inMinutes }) => {
    assert.equal(await store.destroy(key(), inMinutes(5)), undefined)
    const record = await stored(bytesOf('one'))
    await store.destroy(record.key, inMinutes(5))
    assert.equal(await store.destroy(record.key, inMinutes(5)), undefined)
  }],

  ['on a tombstone neither create nor replace nor touch brings anything back', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    await store.destroy(key, inMinutes(5))
    assert.deepEqual(await store.create(key, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    assert.deepEqual(await store.replace(key, version, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    assert.equal(await store.touch(key, inMinutes(60)), undefined)
    assert.equal(await store.load(key), undefined)
  }],

  ['destroy leaves a tombstone also where nothing was stored', async ({ store, key, inMinutes }) => {
    const absent = key()
    await store.destroy(absent, inMinutes(5))
    assert.deepEqual(await store.create(absent, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
  }],

  ['touch keeps bytes and version', async ({ store, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    await store.touch(key, inMinutes(120))
    const record = await store.load(key)
    assertHolds(record, bytesOf('one'))
    assert.equal(record.version, version)
    assert.equal(record.expiresAt, inMinutes(120))
    versionOf(await store.replace(key, version, bytesOf('two'), inMinutes(60)))
  }],

  ['touch of an absent record succeeds and makes none', async ({ store, key, inMinutes }) => {
    const absent = key()
    assert.equal(await store.touch(absent, inMinutes(60)), undefined)
    assert.equal(await store.load(absent), undefined)
    versionOf(await store.create(absent, bytesOf('one'), inMinutes(60)))
  }],

  ['what one handle writes another reads', async ({ store, other, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('one'))
    assertHolds(await other.load(key), bytesOf('one'))
    const second = versionOf(await other.replace(key, version, bytesOf('two'), inMinutes(60)))
    assertHolds(await store.load(key), bytesOf('two'))
    assertConflict(await store.replace(key, version, bytesOf('late'), inMinutes(60)), second, bytesOf('two'))
    assertHolds(await store.destroy(key, inMinutes(5)), bytesOf('two'))
    assert.equal(await other.load(key), undefined)
  }],

  ['ping succeeds on a backend that serves', async ({ store }) => {
    assert.equal(await store.ping(), undefined)
  }],

  ['a scan, where there is one, shows every live record and nothing that has ended, whatever the page', async ({ store, other, stored, inMinutes, key, advance, now, scans }) => {
    if (!store.scan) return assert.ok(!scans, 'the store has no scan')
    const live = await Promise.all(Array.from({ length: 9 }, (_, i) => stored(bytesOf(`live ${i}`))))
    const ended = await stored(bytesOf('ended'))
    await store.destroy(ended.key, inMinutes(60))
    const shortLived = key()
    versionOf(await store.create(shortLived, bytesOf('short'), inMinutes(1)))
    advance(inMinutes(2) - now())
    for (const limit of [1, 4, 1_000]) {
      const shown = new Map<string, string>()
      let cursor: string | undefined
      do {
        const page = await other.scan!(cursor, limit)
        for (const [shownKey, { bytes }] of page.records) shown.set(shownKey, Buffer.from(bytes).toString())
        cursor = page.next
      } while (cursor !== undefined)
      for (const [i, one] of live.entries()) assert.equal(shown.get(one.key), `live ${i}`)
      assert.ok(!shown.has(ended.key) && !shown.has(shortLived))
    }
  }],
]
