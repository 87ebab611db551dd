import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { Held } from './file-database.ts'
import { openFileDatabase } from './file-database.ts'
import { startSweeper } from './file-sweeper.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'

export interface FileStoreOptions {
  /** The directory; made with mode 0700 when missing. */
  readonly path: string
  /**
   * What an acknowledged write survives. `process` (default): the death of any process, SIGKILL included; the write is with the
   * kernel and goes to the disk at once, without being waited for. `power`: also a power cut; waits for the disk.
   */
  readonly durability?: 'process' | 'power'
  readonly clock?: Clock
  /** How often a batch of entries is looked through for expired ones. Default 1 s. */
  readonly sweepIntervalMs?: number
}

interface Step<T> {
  readonly write?: Omit<Held, 'version'> & { readonly version?: number }
  readonly result: (version: number) => T
}

/**
 * Sessions in an LMDB database in a directory, shared by all processes of one machine (LMDB's locks do not work over network file
 * systems). Reads are memory accesses. Every write is one conditional put, decided by LMDB's single writer: the entry must still
 * be the one that was read, else it is read and decided again. The LMDB version of an entry is the record's version.
 */
export function createFileStore(options: FileStoreOptions): SessionStore {
  const { path, durability = 'process', clock = systemClock, sweepIntervalMs = 1_000 } = options
  const database = opening(() => openFileDatabase(path))
  const sweeper = startSweeper(database, { clock, intervalMs: sweepIntervalMs })

  /** Reads, lets `decide` say what becomes of the entry, and writes it, until no other writer came between. */
  async function update<T>(operation: string, key: string, decide: (held: Held | undefined) => Step<T>): Promise<T> {
    try {
      for (;;) {
        const entry = database.read(key)
        const { write, result } = decide(entry && entry.expiresAt > clock() ? entry : undefined)
        if (!write) return result(0)
        const version = write.version ?? database.mintVersion()
        if (!await database.putIf(key, entry?.version, { ...write, version })) continue
        if (durability === 'power') await database.flushed()
        return result(version)
      }
    } catch (error) {
      throw new StoreUnavailableError('file', operation, error)
    }
  }

  const stored = (version: number): WriteOutcome => ({ outcome: 'stored', version: String(version) as Version })

  return {
    kind: 'file',

    // async, so that whatever is thrown rejects
    // eslint-disable-next-line @typescript-eslint/require-await
    async load(key) {
      let held: Held | undefined
      try {
        held = database.read(key)
      } catch (error) {
        throw new StoreUnavailableError('file', 'load', error)
      }
      return held && held.expiresAt > clock() ? recordOf(held) : undefined
    },

    create(key, bytes, expiresAt) {
      const own = Buffer.from(bytes)
      return update('create', key, (held) =>
        held ? { result: () => refusalOf(held) } : { write: { bytes: own, expiresAt }, result: stored })
    },

    replace(key, expected, bytes, expiresAt) {
      const own = Buffer.from(bytes)
      return update('replace', key, (held) => {
        if (!held?.bytes) return { result: () => ({ outcome: 'missing' }) }
        if (String(held.version) !== expected) return { result: () => refusalOf(held) }
        return { write: { bytes: own, expiresAt }, result: stored }
      })
    },

    touch(key, expiresAt) {
      const done = () => undefined
      return update('touch', key, (held) =>
        held?.bytes ? { write: { ...held, expiresAt }, result: done } : { result: done })
    },

    destroy(key, tombstoneUntil) {
      return update('destroy', key, (held) => {
        const ended = held && recordOf(held)
        const expiresAt = held && !ended ? Math.max(held.expiresAt, tombstoneUntil) as EpochMs : tombstoneUntil
        return { write: { bytes: undefined, expiresAt }, result: () => ended }
      })
    },

    // eslint-disable-next-line @typescript-eslint/require-await
    async scan(cursor, limit) {
      try {
        const keys = database.keysAfter(cursor, limit)
        const records = keys.flatMap((key) => {
          const held = database.read(key)
          const record = held && held.expiresAt > clock() ? recordOf(held) : undefined
          return record ? [[key, record] as const] : []
        })
        return { records, next: keys.length < limit ? undefined : keys.at(-1) }
      } catch (error) {
        throw new StoreUnavailableError('file', 'scan', error)
      }
    },

    async ping() {
      try {
        await database.probe()
      } catch (error) {
        throw new StoreUnavailableError('file', 'ping', error)
      }
    },

    async close() {
      sweeper.stop()
      await database.close()
    },
  }
}

function opening<T>(open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new StoreUnavailableError('file', 'open', error)
  }
}

function recordOf({ bytes, version, expiresAt }: Held): StoredRecord | undefined {
  return bytes && { bytes, version: String(version) as Version, expiresAt }
}

function refusalOf(held: Held): WriteOutcome {
  const record = recordOf(held)
  return record ? { outcome: 'conflict', current: record } : { outcome: 'missing' }
}
