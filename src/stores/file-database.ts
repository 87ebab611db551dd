import { randomFillSync } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, RootDatabase } from 'lmdb'
import { getLastVersion, open } from 'lmdb'
import type { EpochMs } from '../session/session.ts'
import { assertUsable } from './file-check.ts'
import { StoreRefusal } from './refusal.ts'

/** One entry: a record, or a tombstone (no bytes). */
export interface Held {
  readonly bytes: Uint8Array | undefined
  readonly version: number
  readonly expiresAt: EpochMs
}

/** The LMDB environment in a directory, as entries with versions. Writes reject with a StoreRefusal when LMDB cannot commit. */
export interface FileDatabase {
  /** The entry as of now, written by whichever process. */
  read(key: string): Held | undefined
  /** Writes if the entry's version still is `expected` (undefined: if there is none). Resolves when every process sees it. */
  putIf(key: string, expected: number | undefined, held: Held): Promise<boolean>
  /** Removes the entry if its version still is `expected`. */
  removeIf(key: string, expected: number): Promise<boolean>
  /** Up to `limit` keys in order, from the one after `after`. */
  keysAfter(after: string | undefined, limit: number): string[]
  mintVersion(): number
  /** Resolves when all that was committed is on the disk. */
  flushed(): Promise<void>
  /** Writes and commits something of no account. */
  probe(): Promise<void>
  /** Frees the reader slots of processes that died. */
  forgetDeadReaders(): void
  close(): Promise<void>
}

const LMDB_OPTIONS = {
  noSubdir: false,
  maxDbs: 4,
  // LMDB's own batching by turns of the event loop makes a promise whose rejection (a full disk) nobody can handle; this starts a
  // transaction at the end of the turn all the same, or after so many writes.
  eventTurnBatching: false,
  txnStartThreshold: 200,
}
const FORMAT = 1
const RECORD = 1
const TOMBSTONE = 0
const REASON_MS = 100
const CLOSE_MS = 1_000                                              // LMDB waits for ever for commits that failed
const HEADER_BYTES = 9                                              // kind, then expiresAt as a little-endian float64

export function openFileDatabase(path: string): FileDatabase {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  assertUsable(path)
  const isNew = !existsSync(join(path, 'data.mdb'))
  const root = open({ path, ...LMDB_OPTIONS })
  try {
    if (isNew) for (const file of ['data.mdb', 'lock.mdb']) chmodSync(join(path, file), 0o600)
    claim(root)
    return databaseOf(root)
  } catch (error) {
    void root.close()
    throw error
  }
}

/** Marks a new environment as ours; refuses one of another program or of a later format. */
function claim(root: RootDatabase): void {
  const names = [...root.getKeys({ limit: 10 })].map(String)
  if (names.length > 0 && !names.includes('sessiongate')) {
    throw new StoreRefusal(`this directory holds an LMDB database of another program (${names.join(', ')})`)
  }
  const meta = root.openDB<number, string>('sessiongate', { encoding: 'json' })
  const format = meta.get('format') ?? FORMAT
  if (format !== FORMAT) throw new StoreRefusal(`the database has format ${format}; this version reads format ${FORMAT}`)
  meta.putSync('format', FORMAT)
}

function databaseOf(root: RootDatabase): FileDatabase {
  const entries: Database<Buffer, string> = root.openDB<Buffer, string>('sessions', { encoding: 'binary', useVersions: true })

  function read(key: string): Held | undefined {
    entries.resetReadTxn()                                          // LMDB would keep its snapshot for this turn of the event loop
    const value = entries.getBinaryFast(key)
    return value && decode(value)
  }

  function putIf(key: string, expected: number | undefined, held: Held): Promise<boolean> {
    return committed(expected === undefined
      ? entries.put(key, encode(held), { version: held.version, noOverwrite: true } as never)
      : entries.put(key, encode(held), held.version, expected))
  }

  return {
    read,
    putIf,
    removeIf: (key, expected) => committed(entries.remove(key, expected)),
    keysAfter: (after, limit) => [...entries.getKeys({ limit, ...(after === undefined ? {} : { start: after, exclusiveStart: true }) })],
    mintVersion,
    flushed: async () => { await entries.flushed },
    probe: async () => { await committed(entries.remove('\u0001probe')) },
    forgetDeadReaders: () => { root.readerCheck() },
    close: () => Promise.race([root.close(), sleep(CLOSE_MS)]),
  }
}

/** A failed commit has its reason in a second promise, which rejects a moment later. */
function committed(write: Promise<boolean>): Promise<boolean> {
  return write.catch(async (error: Error & { commitError?: Promise<never> }) => {
    const reason = await Promise.race([error.commitError, sleep(REASON_MS)]).catch((cause: unknown) => cause)
    const { message } = reason instanceof Error ? reason : error
    throw new StoreRefusal(message.split(':')[0], { cause: reason ?? error })
  })
}

function encode({ bytes, expiresAt }: Held): Buffer {
  const value = Buffer.allocUnsafe(HEADER_BYTES + (bytes?.length ?? 0))
  value[0] = bytes ? RECORD : TOMBSTONE
  value.writeDoubleLE(expiresAt, 1)
  if (bytes) value.set(bytes, HEADER_BYTES)
  return value
}

/** `value` is LMDB's own buffer, valid until the next read: what is kept of it is copied. */
function decode(value: Buffer): Held {
  const version = getLastVersion()
  const expiresAt = value.readDoubleLE(1) as EpochMs
  if (value[0] !== RECORD) return { bytes: undefined, version, expiresAt }
  const bytes = Buffer.allocUnsafe(value.length - HEADER_BYTES)
  value.copy(bytes, 0, HEADER_BYTES, value.length)
  return { bytes, version, expiresAt }
}

const pool = new BigUint64Array(256)
let used = pool.length

/** LMDB keeps versions as float64: 53 random bits, never 0. Unlike a counter it cannot repeat after an entry was removed. */
function mintVersion(): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  return Number(pool[used++]! >> 11n) + 1
}
