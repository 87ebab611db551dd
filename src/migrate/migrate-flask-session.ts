import { flaskSessionClaim } from '../adapters/flask/migrated.ts'
import type { PyValue } from '../adapters/flask/python-value.ts'
import { readFlaskRecord } from '../adapters/flask/record.ts'
import { typedOf } from '../adapters/flask/typed-json.ts'
import type { Clock } from '../clock.ts'
import type { Codec } from '../session/codec.ts'
import { isWithinLimits, type JsonLimits } from '../session/json.ts'
import type { LifetimePolicy } from '../session/lifetime.ts'
import type { EpochMs, Json, JsonObject, StoredSession } from '../session/session.ts'
import { handleOf, storeKeyOf } from '../signing/ids.ts'
import type { SessionStore } from '../stores/store.ts'
import type { MigrationSource, SourceRecord } from './source.ts'

/** What became of one record. */
export type MigrationOutcome = 'migrated' | 'there' | 'empty' | 'expired' | 'large' | 'unreadable'

export interface MigrationOptions {
  readonly store: SessionStore
  readonly codec: Codec
  readonly policy: LifetimePolicy
  readonly handleSecret: string
  readonly limits: JsonLimits & { readonly maxBytes: number }
  readonly clock: Clock
  /** Read and count, write nothing. */
  readonly isDryRun: boolean
  /** Told after each record; `reason` of what cannot be read, which never quotes session data. */
  readonly onRecord: (outcome: MigrationOutcome, name: string, reason?: string) => void
}

export type MigrationSummary = Readonly<Record<MigrationOutcome, number>>

const PARALLEL = 32

/**
 * Copies sessions of Flask-Session into our store, each under the claim by which its visitor will be known (flaskSessionClaim). Until
 * then a session lives as long as it would have lived where it was. Harmless to repeat: what was brought before, and what its visitor has
 * ended since, stays as it is. Rejects when either store fails.
 */
export async function migrateFlaskSessions(source: MigrationSource, options: MigrationOptions): Promise<MigrationSummary> {
  const summary: Record<MigrationOutcome, number> = { migrated: 0, there: 0, empty: 0, expired: 0, large: 0, unreadable: 0 }

  async function migrate(record: SourceRecord): Promise<void> {
    const { outcome, reason } = await migrateOne(source, record, options)
    summary[outcome]++
    options.onRecord(outcome, record.name, reason)
  }

  let batch: Promise<void>[] = []
  for await (const record of source.records()) {
    batch.push(migrate(record))
    if (batch.length < PARALLEL) continue
    await Promise.all(batch)
    batch = []
  }
  await Promise.all(batch)
  return summary
}

async function migrateOne(source: MigrationSource, { name, bytes, expiresAt }: SourceRecord, options: MigrationOptions): Promise<{ outcome: MigrationOutcome; reason?: string }> {
  const { store, codec, policy, limits, clock } = options
  const now = clock()
  const until = expiresAt ?? now + policy.absoluteMs as EpochMs
  if (until <= now) return { outcome: 'expired' }
  const read = readFlaskRecord(bytes)
  if (!read.ok) return { outcome: 'unreadable', reason: read.reason }
  const { _permanent: permanent, ...data } = typedMembers(read.values)
  if (Object.keys(data).length === 0) return { outcome: 'empty' }
  if (Buffer.byteLength(JSON.stringify(data)) > limits.maxBytes || !isWithinLimits(data, limits)) return { outcome: 'large' }

  const claim = flaskSessionClaim(source.by, name)
  const key = storeKeyOf(claim)
  if (options.isDryRun) return { outcome: await store.load(key) ? 'there' : 'migrated' }
  const session: StoredSession = {
    handle: handleOf(claim, options.handleSecret), data, createdAt: now, permanent: permanent === true, idleMs: until - now, absoluteMs: until - now,
  }
  const written = await store.create(key, codec.encode(key, { kind: 'waiting', session }), until)
  return { outcome: written.outcome === 'stored' ? 'migrated' : 'there' }
}

function typedMembers(values: ReadonlyMap<string, PyValue>): JsonObject {
  return Object.fromEntries([...values].map(([name, value]): [string, Json] => [name, typedOf(value)]))
}
