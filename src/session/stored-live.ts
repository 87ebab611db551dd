import type { StoredRecord } from '../stores/store.ts'
import type { Codec } from './codec.ts'
import { expiryOf, touchedAtOf, type LifetimePolicy } from './lifetime.ts'
import type { EpochMs, Session, StoredSession } from './session.ts'

/** A session as whoever does not know its id sees it. */
export interface LiveRecord {
  readonly session: StoredSession
  readonly touchedAt: EpochMs
  readonly expiresAt: EpochMs
  /** As stored. */
  readonly bytes: number
}

/** The live session in a record, or one that waits for its visitor; or undefined: a pointer, a mark, a subject, or one that has expired. Throws SessionCorruptError. */
export function storedLive(codec: Codec, policy: LifetimePolicy, now: EpochMs, key: string, record: StoredRecord): LiveRecord | undefined {
  const envelope = codec.decode(key, record.bytes)
  if (envelope.kind === 'waiting') return { session: envelope.session, touchedAt: envelope.session.createdAt, expiresAt: record.expiresAt, bytes: record.bytes.length }
  if (envelope.kind !== 'live') return undefined
  const touchedAt = touchedAtOf(record.expiresAt, envelope.session.idleMs)
  const expiresAt = expiryOf({ ...envelope.session, touchedAt } as Session, policy)
  return expiresAt > now ? { session: envelope.session, touchedAt, expiresAt, bytes: record.bytes.length } : undefined
}
