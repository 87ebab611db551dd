import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Version } from '../session/session.ts'
import { assertHolds, bytesOf, versionOf } from './conformance-bench.ts'
import type { CaseTable } from './conformance.ts'
import type { SessionStore, WriteOutcome } from './store.ts'

const WRITERS = 32
const MAX_ATTEMPTS = 10_000

/** Callers at the same time, on two handles where the store has them. */
export const raceCases: CaseTable = [
  ['of 32 writers holding one version, exactly one wins', async ({ store, other, stored, inMinutes }) => {
    const { key, version } = await stored(bytesOf('base'))
    const outcomes = await Promise.all(writers((writer) =>
      handle(store, other, writer).replace(key, version, bytesOf(`writer ${writer}`), inMinutes(60))))
    await assertOneWinner(store, key, outcomes)
  }],

  ['of 32 creates of one key, exactly one wins', async ({ store, other, key, inMinutes }) => {
    const own = key()
    const outcomes = await Promise.all(writers((writer) =>
      handle(store, other, writer).create(own, bytesOf(`writer ${writer}`), inMinutes(60))))
    await assertOneWinner(store, own, outcomes)
  }],

  ['of 8 destroys at once, exactly one ends the record', async ({ store, other, stored, inMinutes }) => {
    const { key } = await stored(bytesOf('one'))
    const ended = await Promise.all(Array.from({ length: 8 }, (_, index) => handle(store, other, index).destroy(key, inMinutes(5))))
    const [record, ...more] = ended.filter((one) => one !== undefined)
    assertHolds(record, bytesOf('one'))
    assert.equal(more.length, 0)
  }],

  ['writers that read, add and retry lose no addition', async ({ store, other, stored, inMinutes }) => {
    const { key } = await stored(bytesOf('0'))
    let attempts = 0
    const add = async (writer: number) => {
      for (let added = 0; added < 8;) {
        const record = await handle(store, other, writer).load(key)
        assert.ok(record)
        const next = bytesOf(String(Number(Buffer.from(record.bytes).toString()) + 1))
        const { outcome } = await handle(store, other, writer).replace(key, record.version, next, inMinutes(60))
        assert.notEqual(outcome, 'missing')
        assert.ok(attempts++ < MAX_ATTEMPTS, 'the writers hold each other up for ever')
        if (outcome === 'stored') added++
      }
    }
    await Promise.all(Array.from({ length: 6 }, (_, writer) => add(writer)))
    assertHolds(await store.load(key), bytesOf('48'))
  }],

  ['whoever writes against a destroy, the session stays destroyed', async ({ store, other, stored, inMinutes }) => {
    for (let round = 0; round < 20; round++) {
      const { key, version } = await stored(bytesOf('base'))
      const [written, ended] = await Promise.all([
        store.replace(key, version, bytesOf('late'), inMinutes(60)),
        other.destroy(key, inMinutes(5)),
        other.touch(key, inMinutes(90)),
        store.create(key, bytesOf('late'), inMinutes(60)),
      ])
      assert.ok(ended, 'the destroy came after the create, so there was a record to end')
      assertHolds(ended, bytesOf(written.outcome === 'stored' ? 'late' : 'base'))
      assert.notEqual(written.outcome, 'conflict')
      assert.equal(await store.load(key), undefined)
      assert.deepEqual(await store.create(key, bytesOf('later'), inMinutes(60)), { outcome: 'missing' })
    }
  }],

  ['a touch at the same time as a replace loses neither bytes nor version', async ({ store, other, stored, inMinutes }) => {
    for (let round = 0; round < 20; round++) {
      const { key, version } = await stored(bytesOf('base'))
      const [written] = await Promise.all([
        store.replace(key, version, bytesOf('new'), inMinutes(60)),
        other.touch(key, inMinutes(90)),
        store.touch(key, inMinutes(90)),
      ])
      const record = await store.load(key)
      assertHolds(record, bytesOf('new'))
      assert.equal(record.version, versionOf(written))
    }
  }],

  ['a reader among writers sees whole records only, and versions that fit them', async ({ store, other, stored, inMinutes }) => {
    const { key, version } = await stored(Buffer.alloc(5_000, 0))
    const seen = new Map<Version, number>([[version, 0]])
    let writing = true
    const write = async () => {
      let expected = version
      try {
        for (let fill = 1; fill <= 40; fill++) {
          expected = versionOf(await store.replace(key, expected, Buffer.alloc(5_000, fill), inMinutes(60)))
          assert.equal(seen.get(expected) ?? fill, fill)
          seen.set(expected, fill)
        }
      } finally {
        writing = false
      }
    }
    const read = async () => {
      while (writing) {
        await nextTurn()                                            // a store may answer without I/O
        const record = await other.load(key)
        assert.ok(record)
        const fill = record.bytes[0]!
        assertHolds(record, Buffer.alloc(5_000, fill))
        assert.equal(seen.get(record.version) ?? fill, fill)
        seen.set(record.version, fill)
      }
    }
    await Promise.all([write(), read()])
  }],
]

function writers<T>(write: (writer: number) => Promise<T>): Promise<T>[] {
  return Array.from({ length: WRITERS }, (_, writer) => write(writer))
}

function handle(store: SessionStore, other: SessionStore, index: number): SessionStore {
  return index % 2 === 0 ? store : other
}

async function assertOneWinner(store: SessionStore, key: string, outcomes: readonly WriteOutcome[]): Promise<void> {
  const winner = outcomes.findIndex(({ outcome }) => outcome === 'stored')
  assert.equal(outcomes.filter(({ outcome }) => outcome === 'stored').length, 1)
  assert.equal(outcomes.filter(({ outcome }) => outcome === 'conflict').length, WRITERS - 1)
  const record = await store.load(key)
  assertHolds(record, bytesOf(`writer ${winner}`))
  assert.equal(record.version, versionOf(outcomes[winner]!))
}
