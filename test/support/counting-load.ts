import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStore } from '../../src/stores/store.ts'
import { startStopwatch } from './stopwatch.ts'
import { inAnHour, versionOf } from './store-faults.ts'

/** What one writer knows of its counter. */
export interface Tally {
  readonly key: string
  /** Its value as the store said it last: of an acknowledged write, or of the record a conflict showed. */
  count: number
  acknowledged: number
  /** Writes whose outcome was unknown, and what was said. */
  readonly failures: string[]
  /** How far the counter was ever found behind what had been acknowledged: lost updates. */
  lost: number
  /** The smallest value it fell back to; Infinity when it never did. */
  fellTo: number
  gone: boolean
  slowestMs: number
}

export interface CountingLoad {
  readonly tallies: readonly Tally[]
  /** Resolves once every writer has had an answer to a write that began after this call, whatever it was. */
  round(): Promise<void>
  stop(): Promise<readonly Tally[]>
}

const PAUSE_MS = 5

/** One writer for each key, which makes a counter there and adds one to it by compare-and-set, again and again, until it is stopped. */
export async function startCountingLoad(store: SessionStore, keys: readonly string[]): Promise<CountingLoad> {
  let isStopped = false
  let turns = keys.map(() => 0)
  const tallies = keys.map((key): Tally => ({ key, count: 0, acknowledged: 0, failures: [], lost: 0, fellTo: Infinity, gone: false, slowestMs: 0 }))
  const versions = await Promise.all(keys.map(async (key) => versionOf(await store.create(key, Buffer.from('0'), inAnHour()))))

  async function write(tally: Tally, index: number): Promise<void> {
    const written = await store.replace(tally.key, versions[index]!, Buffer.from(String(tally.count + 1)), inAnHour())
    if (written.outcome === 'stored') {
      versions[index] = written.version
      tally.count++
      tally.acknowledged++
    } else if (written.outcome === 'conflict') {
      const current = written.current ?? await store.load(tally.key)
      const count = Number(Buffer.from(current!.bytes).toString())
      versions[index] = current!.version
      if (count < tally.count) {
        tally.lost += tally.count - count
        tally.fellTo = Math.min(tally.fellTo, count)
      }
      tally.count = count
    } else {
      tally.gone = true
    }
  }

  const writers = tallies.map(async (tally, index) => {
    while (!isStopped && !tally.gone) {
      const elapsed = startStopwatch()
      await write(tally, index).catch((error: unknown) => { tally.failures.push(String(error)) })
      tally.slowestMs = Math.max(tally.slowestMs, elapsed())
      turns[index]!++
      await sleep(PAUSE_MS)
    }
  })

  return {
    tallies,
    async round() {
      const before = turns
      turns = [...turns]
      while (!tallies.every(({ gone }, index) => gone || turns[index]! >= before[index]! + 2)) await sleep(PAUSE_MS)
    },
    async stop() {
      isStopped = true
      await Promise.all(writers)
      return tallies
    },
  }
}

/** Values that no longer are what the writers were told: each an update lost after all. */
export async function lostIn(store: SessionStore, tallies: readonly Tally[]): Promise<string[]> {
  const lost = await Promise.all(tallies.map(async ({ key, count }) => {
    const found = Number(Buffer.from((await store.load(key))?.bytes ?? []).toString() || NaN)
    return found >= count ? [] : [`${key} is ${found}, ${count} was acknowledged`]
  }))
  return lost.flat()
}
