import type { MigratedBy } from '../adapters/flask/migrated.ts'
import type { EpochMs } from '../session/session.ts'

/** One session as another program has stored it. */
export interface SourceRecord {
  /** The sid, or where only that is known, the name of its file. */
  readonly name: string
  readonly bytes: Uint8Array
  /** Undefined: never. */
  readonly expiresAt: EpochMs | undefined
}

/** Where sessions are read from. Nothing in it is changed. Rejects with the driver's errors. */
export interface MigrationSource {
  readonly by: MigratedBy
  /** About how many there are, for a progress display. */
  readonly total: number
  records(): AsyncIterable<SourceRecord>
  close(): Promise<void>
}

/** The source cannot be read as told; the message says what to do. */
export class SourceError extends Error {}
