import assert from 'node:assert/strict'
import { assertHolds, bytesOf, versionOf } from './conformance-bench.ts'
import type { CaseTable } from './conformance.ts'

/** A record lives while `now < expiresAt`, by the gateway's clock; so does a tombstone. */
export const expiryCases: CaseTable = [
  ['a record lives to the last millisecond and not one longer', async ({ store, key, inMinutes, advance }) => {
    const own = key()
    versionOf(await store.create(own, bytesOf('one'), inMinutes(10)))
    advance(10 * 60_000 - 1)
    assertHolds(await store.load(own), bytesOf('one'))
    advance(1)
    assert.equal(await store.load(own), undefined)
  }],

  ['an expired record cannot be replaced, touched or ended', async ({ store, stored, inMinutes, advance }) => {
    const { key, version } = await stored(bytesOf('one'))
    advance(60 * 60_000)
    await store.touch(key, inMinutes(60))
    assert.equal(await store.load(key), undefined)
    assert.deepEqual(await store.replace(key, version, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    assert.equal(await store.load(key), undefined)
    assert.equal(await store.destroy(key, inMinutes(5)), undefined)
  }],

  ['an expired record leaves room for a new one under its key, with a new version', async ({ store, stored, inMinutes, advance }) => {
    const { key, version } = await stored(bytesOf('old'))
    advance(60 * 60_000)
    const created = versionOf(await store.create(key, bytesOf('new'), inMinutes(60)))
    assert.notEqual(created, version)
    assertHolds(await store.load(key), bytesOf('new'))
    assert.equal((await store.replace(key, version, bytesOf('late'), inMinutes(60))).outcome, 'conflict')
  }],

  ['replace moves the expiry, later and earlier', async ({ store, stored, inMinutes, advance }) => {
    const { key, version } = await stored(bytesOf('one'))
    const second = versionOf(await store.replace(key, version, bytesOf('two'), inMinutes(120)))
    advance(90 * 60_000)
    assertHolds(await store.load(key), bytesOf('two'))
    versionOf(await store.replace(key, second, bytesOf('three'), inMinutes(1)))
    advance(60_000)
    assert.equal(await store.load(key), undefined)
  }],

  ['touch moves the expiry, later and earlier', async ({ store, stored, inMinutes, advance }) => {
    const { key } = await stored(bytesOf('one'))
    await store.touch(key, inMinutes(120))
    advance(90 * 60_000)
    assertHolds(await store.load(key), bytesOf('one'))
    await store.touch(key, inMinutes(1))
    advance(60_000)
    assert.equal(await store.load(key), undefined)
  }],

  ['a touch that comes too late does not revive', async ({ store, stored, inMinutes, advance }) => {
    const { key } = await stored(bytesOf('one'))
    advance(60 * 60_000)
    await store.touch(key, inMinutes(60))
    assert.equal(await store.load(key), undefined)
  }],

  ['a tombstone stands to the last millisecond and not one longer', async ({ store, stored, inMinutes, advance }) => {
    const { key } = await stored(bytesOf('one'))
    await store.destroy(key, inMinutes(5))
    advance(5 * 60_000 - 1)
    assert.deepEqual(await store.create(key, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    advance(1)
    versionOf(await store.create(key, bytesOf('new'), inMinutes(60)))
    assertHolds(await store.load(key), bytesOf('new'))
  }],

  ['a tombstone may outlive the record it ended', async ({ store, key, inMinutes, advance }) => {
    const own = key()
    const version = versionOf(await store.create(own, bytesOf('one'), inMinutes(1)))
    await store.destroy(own, inMinutes(10))
    advance(9 * 60_000)
    assert.deepEqual(await store.create(own, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    assert.deepEqual(await store.replace(own, version, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
  }],

  ['a repeated destroy keeps the later of two tombstones', async ({ store, stored, inMinutes, advance }) => {
    for (const [first, second] of [[5, 10], [10, 5]] as const) {
      const { key } = await stored(bytesOf('one'))
      await store.destroy(key, inMinutes(first))
      await store.destroy(key, inMinutes(second))
      advance(10 * 60_000 - 1)
      assert.deepEqual(await store.create(key, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
      advance(1)
      versionOf(await store.create(key, bytesOf('new'), inMinutes(60)))
    }
  }],

  ['a touch neither prolongs nor shortens a tombstone', async ({ store, stored, inMinutes, advance }) => {
    const { key } = await stored(bytesOf('one'))
    await store.destroy(key, inMinutes(5))
    await store.touch(key, inMinutes(60))
    await store.touch(key, inMinutes(1))
    advance(5 * 60_000 - 1)
    assert.deepEqual(await store.create(key, bytesOf('late'), inMinutes(60)), { outcome: 'missing' })
    advance(1)
    versionOf(await store.create(key, bytesOf('new'), inMinutes(60)))
  }],

  ['expiries beyond 30 days and beyond 32 bits are kept exactly', async ({ store, key, inMinutes, advance }) => {
    for (const minutes of [45 * 1_440, 400 * 1_440, 20 * 365 * 1_440]) {
      const own = key()
      versionOf(await store.create(own, bytesOf('one'), inMinutes(minutes)))
      assert.equal((await store.load(own))?.expiresAt, inMinutes(minutes))
      advance(31 * 1_440 * 60_000)
      assertHolds(await store.load(own), bytesOf('one'))
    }
  }],

  ['a record stored with an expiry that has passed is not there', async ({ store, key, inMinutes }) => {
    const own = key()
    versionOf(await store.create(own, bytesOf('one'), inMinutes(-1)))
    assert.equal(await store.load(own), undefined)
    const version = versionOf(await store.create(own, bytesOf('two'), inMinutes(60)))
    versionOf(await store.replace(own, version, bytesOf('three'), inMinutes(-1)))
    assert.equal(await store.load(own), undefined)
  }],
]
