import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { ConformanceOptions } from './conformance.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'

const MINUTE_MS = 60_000

/** What a case works with: the store, a second handle on the same backend where there can be one, and the time. */
export interface ConformanceBench {
  readonly store: SessionStore
  /** A second handle; the first one again when the store is not shared. */
  readonly other: SessionStore
  readonly maxValueBytes: number
  readonly scans: boolean
  /** A key nobody has used. */
  readonly key: () => string
  readonly now: () => EpochMs
  /** The instant `minutes` from now. */
  readonly inMinutes: (minutes: number) => EpochMs
  readonly advance: (ms: number) => void
  /** Creates a live record with an hour to live. */
  readonly stored: (bytes: Uint8Array, key?: string) => Promise<{ readonly key: string; readonly version: Version; readonly expiresAt: EpochMs }>
  readonly close: () => Promise<void>
}

export async function createBench(options: ConformanceOptions): Promise<ConformanceBench> {
  const { open, shared = true, maxValueBytes = 1_048_576, scans = false } = options
  let now = systemClock()
  const clock: Clock = () => now
  const store = await open(clock)
  const other = shared ? await open(clock) : store
  const inMinutes = (minutes: number) => (now + minutes * MINUTE_MS) as EpochMs

  return {
    store,
    other,
    maxValueBytes,
    scans,
    key: randomKey,
    now: clock,
    inMinutes,
    advance(ms) {
      now = (now + ms) as EpochMs
    },
    async stored(bytes, key = randomKey()) {
      const expiresAt = inMinutes(60)
      return { key, version: versionOf(await store.create(key, bytes, expiresAt)), expiresAt }
    },
    async close() {
      await Promise.all(shared ? [store.close(), other.close()] : [store.close()])
    },
  }
}

function randomKey(): string {
  return randomBytes(32).toString('base64url')
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The new version of a write that must have been stored. */
export function versionOf(written: WriteOutcome): Version {
  assert.equal(written.outcome, 'stored')
  assert.ok(written.outcome === 'stored' && written.version.length > 0)
  return written.version
}

/** The record must be there, with just these bytes. */
export function assertHolds(record: StoredRecord | undefined, bytes: Uint8Array): asserts record is StoredRecord {
  assert.ok(record, 'expected a live record, found none')
  assert.ok(Buffer.from(record.bytes).equals(bytes), `expected ${describe(bytes)}, found ${describe(record.bytes)}`)
}

/** A conflict that names the winner must name it rightly; it may leave it out. */
export function assertConflict(written: WriteOutcome, winner: Version, bytes: Uint8Array): void {
  assert.equal(written.outcome, 'conflict')
  if (written.outcome !== 'conflict' || !written.current) return
  assertHolds(written.current, bytes)
  assert.equal(written.current.version, winner)
}

function describe(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${Buffer.from(bytes.subarray(0, 24)).toString('latin1')}`
}
