import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import { createExpiryQueue, UNQUEUED } from './expiry-queue.ts'
import { StoreRefusal } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import { mintVersion } from './version.ts'

export interface MemoryStoreOptions {
  /** Records and tombstones held at most; further creates are refused. */
  readonly maxEntries?: number
  readonly clock?: Clock
}

interface Entry {
  readonly key: string
  /** Counts creations, so it grows in the order of the map. */
  readonly number: number
  /** Undefined: a tombstone. */
  bytes: Uint8Array | undefined
  version: Version
  expiresAt: EpochMs
  queuedAt: EpochMs
}

const DEFAULT_MAX_ENTRIES = 100_000
const SWEEP_INTERVAL_MS = 1_000
const SWEEP_LIMIT = 10_000

/**
 * Sessions in this process: lost on restart, not shared by workers.
 *
 * Bounded. When full, what has expired goes first; after that new sessions are refused as unavailable, because evicting a live
 * one would log a user out silently. Replacing, touching and destroying go on; a tombstone is never refused.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): SessionStore {
  const { maxEntries = DEFAULT_MAX_ENTRIES, clock = systemClock } = options
  const entries = new Map<string, Entry>()
  const expiries = createExpiryQueue<Entry>()
  let created = 0

  const sweeper = setInterval(() => sweep(clock()), SWEEP_INTERVAL_MS)
  sweeper.unref()

  function sweep(now: EpochMs): void {
    for (let removed = 0; removed < SWEEP_LIMIT; removed++) {
      const entry = expiries.popExpired(now)
      if (!entry) return
      entries.delete(entry.key)
    }
  }

  /** The record or tombstone in force; what has expired is as good as absent. */
  function current(key: string, now: EpochMs): Entry | undefined {
    const entry = entries.get(key)
    return entry && entry.expiresAt > now ? entry : undefined
  }

  function write(key: string, bytes: Uint8Array | undefined, expiresAt: EpochMs): Version {
    const version = mintVersion()
    const entry = entries.get(key)
    if (entry) {
      entry.bytes = bytes
      entry.version = version
      setExpiry(entry, expiresAt)
    } else {
      const added: Entry = { key, number: ++created, bytes, version, expiresAt, queuedAt: UNQUEUED }
      entries.set(key, added)
      expiries.push(added)
    }
    return version
  }

  function setExpiry(entry: Entry, expiresAt: EpochMs): void {
    entry.expiresAt = expiresAt
    expiries.push(entry)
  }

  function makeRoom(key: string, now: EpochMs): void {
    if (entries.size < maxEntries || entries.has(key)) return
    sweep(now)
    if (entries.size >= maxEntries) {
      throw new StoreUnavailableError('memory', 'create', new StoreRefusal(`full: ${entries.size} entries of at most ${maxEntries}`))
    }
  }

  // The methods are async so that whatever they throw rejects.
  /* eslint-disable @typescript-eslint/require-await */
  return {
    kind: 'memory',

    async load(key) {
      const entry = current(key, clock())
      return entry && recordOf(entry)
    },

    async create(key, bytes, expiresAt): Promise<WriteOutcome> {
      const now = clock()
      const entry = current(key, now)
      if (entry) return refusalOf(entry)
      makeRoom(key, now)
      return { outcome: 'stored', version: write(key, keptCopyOf(bytes), expiresAt) }
    },

    async replace(key, expected, bytes, expiresAt): Promise<WriteOutcome> {
      const entry = current(key, clock())
      if (!entry) return { outcome: 'missing' }
      if (!entry.bytes || entry.version !== expected) return refusalOf(entry)
      return { outcome: 'stored', version: write(key, keptCopyOf(bytes), expiresAt) }
    },

    async touch(key, expiresAt) {
      const entry = current(key, clock())
      if (entry?.bytes) setExpiry(entry, expiresAt)
    },

    async destroy(key, tombstoneUntil) {
      const entry = current(key, clock())
      const ended = entry && recordOf(entry)
      if (ended || !entry || entry.expiresAt < tombstoneUntil) write(key, undefined, tombstoneUntil)
      return ended
    },

    async scan(cursor = '0', limit) {
      const now = clock()
      const records: [string, StoredRecord][] = []
      for (const entry of entries.values()) {
        if (entry.number <= Number(cursor)) continue
        const record = entry.expiresAt > now ? recordOf(entry) : undefined
        if (record) records.push([entry.key, record])
        if (records.length >= limit) return { records, next: String(entry.number) }
      }
      return { records, next: undefined }
    },

    async ping() {},

    async close() {
      clearInterval(sweeper)
      entries.clear()
    },
  }
}

function recordOf({ bytes, version, expiresAt }: Entry): StoredRecord | undefined {
  return bytes && { bytes: copyOf(bytes), version, expiresAt }
}

function refusalOf(entry: Entry): WriteOutcome {
  const record = recordOf(entry)
  return record ? { outcome: 'conflict', current: record } : { outcome: 'missing' }
}

/** In memory of its own: in a buffer of Node's pool it would hold on to what others had beside it. */
function keptCopyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** The caller keeps its buffer and may reuse it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes)
}
