import { createPlainCodec } from '../../src/session/codec.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { SessionStore } from '../../src/stores/store.ts'

/** What session libraries do: get, merge, set. The version is looked up just before the write, so every write wins. */
export function withoutCompare(store: SessionStore): SessionStore {
  return {
    ...store,
    async replace(key, _expected, bytes, expiresAt) {
      const record = await store.load(key)
      return record ? store.replace(key, record.version, bytes, expiresAt) : { outcome: 'missing' }
    },
  }
}

const PLAIN = createPlainCodec()

/** And the other half: a late write makes the record anew, since a logout leaves nothing behind. */
export function withoutTombstones(store: SessionStore): SessionStore {
  return {
    ...store,
    destroy: (key) => store.destroy(key, 0 as EpochMs),
    async replace(key, expected, bytes, expiresAt) {
      const written = await store.replace(key, expected, bytes, expiresAt)
      if (written.outcome === 'stored' && PLAIN.decode(key, bytes).kind === 'gone') await store.destroy(key, 0 as EpochMs)
      return written.outcome === 'missing' ? store.create(key, bytes, expiresAt) : written
    },
  }
}

/** A touch or a replica that is behind: now and then an old record is read. */
export function withStaleReads(store: SessionStore): SessionStore {
  const older = new Map<string, Awaited<ReturnType<SessionStore['load']>>>()
  let reads = 0
  return {
    ...store,
    async load(key) {
      const record = await store.load(key)
      if (++reads % 10 === 0 && older.has(key)) return older.get(key)
      if (reads % 3 === 0) older.set(key, record)
      return record
    },
  }
}

