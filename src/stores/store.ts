import type { EpochMs, Version } from '../session/session.ts'

/**
 * One live record. A version stands for these bytes under this key and for no others, ever. `expiresAt` is what the store will enforce; a
 * touch moves it without changing `version` or `bytes`.
 */
export interface StoredRecord {
  readonly bytes: Uint8Array
  readonly version: Version
  readonly expiresAt: EpochMs
}

export type WriteOutcome =
  | { readonly outcome: 'stored'; readonly version: Version }
  /** Another writer was first; `current` is the record that won, where the backend can say it in the same round trip. */
  | { readonly outcome: 'conflict'; readonly current?: StoredRecord }
  /** Gone or tombstoned: a late write cannot undo a logout. */
  | { readonly outcome: 'missing' }

export interface ScanPage {
  readonly records: readonly (readonly [key: string, record: StoredRecord])[]
  readonly next: string | undefined
}

/**
 * What every backend promises. Bytes in, bytes out; keys are printable ASCII of at most 200 characters.
 * Every method rejects with StoreUnavailableError and nothing else: absence, expiry and conflict are values.
 * Expiry is enforced on read to the millisecond by the gateway's clock, whatever the backend's own granularity.
 */
export interface SessionStore {
  /** For metrics, logs and errors: `redis`, `file`, ... */
  readonly kind: string
  /** The live record, or undefined when absent, expired or tombstoned. */
  load(key: string): Promise<StoredRecord | undefined>
  /** Stores a record under a key that holds none: `stored`; `conflict` when a live one exists; `missing` on a tombstone. */
  create(key: string, bytes: Uint8Array, expiresAt: EpochMs): Promise<WriteOutcome>
  /** Compare-and-set in one atomic step. Repeating a call whose answer was lost is harmless. */
  replace(key: string, expected: Version, bytes: Uint8Array, expiresAt: EpochMs): Promise<WriteOutcome>
  /** Moves the expiry of a live record. Carries no data, keeps the version; absent or tombstoned is success without effect. */
  touch(key: string, expiresAt: EpochMs): Promise<void>
  /**
   * Ends the record and leaves a tombstone until `tombstoneUntil`, also when there was none. Atomic: resolves to the live
   * record it ended, so a caller can follow a rotation that happened meanwhile. Repeating it keeps the later tombstone.
   */
  destroy(key: string, tombstoneUntil: EpochMs): Promise<StoredRecord | undefined>
  /**
   * Some of the live records, about `limit`, and where to go on; without `cursor` from the beginning, until `next` is undefined. What
   * lives through the whole walk is shown at least once; the order means nothing. Optional: for operators, never for requests.
   */
  scan?(cursor: string | undefined, limit: number): Promise<ScanPage>
  /** The part of the backend that holds this key, where parts fail one by one, as the nodes of a cluster do. Optional: it is one. */
  partOf?(key: string): string
  /** Resolves when the backend can serve reads and writes. */
  ping(): Promise<void>
  /** Releases every resource. No call may follow. */
  close(): Promise<void>
}
