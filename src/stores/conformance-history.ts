import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import type { Version } from '../session/session.ts'
import type { ConformanceBench } from './conformance-bench.ts'
import { bytesOf } from './conformance-bench.ts'
import type { CaseTable } from './conformance.ts'
import type { StoredRecord, WriteOutcome } from './store.ts'

const STEPS = 200
const KEYS = 3

/** The contract in its shortest form: what a key holds, and until when. */
interface Held {
  /** Undefined: a tombstone. */
  readonly record: StoredRecord | undefined
  readonly until: number
}

/** Random histories, each compared with a model of the contract step by step. */
export const historyCases: CaseTable = [
  ['a random history of calls and passing time agrees with the contract', async (bench) => {
    const seed = randomInt(2 ** 31)
    try {
      await replay(bench, generator(seed))
    } catch (error) {
      throw new Error(`history of seed ${seed}: ${String(error)}`, { cause: error })
    }
  }],
]

async function replay(bench: ConformanceBench, random: (below: number) => number): Promise<void> {
  const keys = Array.from({ length: KEYS }, bench.key)
  const model = new Map<string, Held>()
  const versions: Version[] = ['unknown' as Version]

  for (let step = 0; step < STEPS; step++) {
    const key = keys[random(KEYS)]!
    const store = random(2) === 0 ? bench.store : bench.other
    const held = model.get(key)
    const live = held && held.until > bench.now() ? held : undefined
    const bytes = bytesOf(`step ${step}`)
    const expiresAt = bench.inMinutes(1 + random(4))
    const remember = (record: StoredRecord | undefined, until = expiresAt) => model.set(key, { record, until })
    const written = (outcome: WriteOutcome, allowed: boolean) => {
      assert.equal(outcome.outcome, allowed ? 'stored' : live?.record ? 'conflict' : 'missing', `step ${step}`)
      if (outcome.outcome !== 'stored') return
      assert.ok(!versions.includes(outcome.version), `step ${step}: a version was used twice`)
      versions.push(outcome.version)
      remember({ bytes, version: outcome.version, expiresAt })
    }

    switch (random(6)) {
      case 0:
        written(await store.create(key, bytes, expiresAt), !live)
        break
      case 1:
      case 2: {
        const expected = live?.record && random(3) > 0 ? live.record.version : versions[random(versions.length)]!
        written(await store.replace(key, expected, bytes, expiresAt), live?.record?.version === expected)
        break
      }
      case 3:
        await store.touch(key, expiresAt)
        if (live?.record) remember({ ...live.record, expiresAt })
        break
      case 4:
        if (random(3) > 0) break
        assertSame(await store.destroy(key, expiresAt), live?.record, step)
        remember(undefined, live && !live.record ? Math.max(live.until, expiresAt) as typeof expiresAt : expiresAt)
        break
      default:
        bench.advance(random(60_000))
    }
    const now = model.get(key)
    assertSame(await store.load(key), now && now.until > bench.now() ? now.record : undefined, step)
  }
}

function assertSame(found: StoredRecord | undefined, expected: StoredRecord | undefined, step: number): void {
  const plain = (record: StoredRecord | undefined) => record && { ...record, bytes: Buffer.from(record.bytes).toString() }
  assert.deepEqual(plain(found), plain(expected), `step ${step}`)
}

/** A small reproducible generator (mulberry32): integers from 0, below the given bound. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
