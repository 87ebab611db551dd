import type { Clock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import { createBatches, MAX_BATCH } from './batches.ts'
import { OutcomeUnknownError, StoreRefusal } from './refusal.ts'
import type { ScanPage, SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import { mintVersion } from './version.ts'

/** What a key holds, dead or alive: a record, or a tombstone (no bytes). */
export interface Entry {
  readonly bytes: Uint8Array | undefined
  readonly version: Version
  readonly expiresAt: EpochMs
}

export type Overwritten = 'done' | 'none' | 'perhaps'

/**
 * A backend whose every step concerns one key and is atomic by itself: most of them. A step may be carried out twice when an answer
 * was lost; the second time a write reports false, and its own version is found where it should be.
 * Steps reject with a StoreRefusal when the backend said no, with anything else when it did not answer.
 */
export interface Entries {
  /** The entry, also when it has expired. */
  read(key: string): Promise<Entry | undefined>
  /** The entries there are of two keys or more, at most MAX_BATCH, where that costs about as much as of one. Optional. */
  readAll?(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>>
  /** Writes under a key that holds nothing, not even what has expired. False: it does. */
  insert(key: string, entry: Entry): Promise<boolean>
  /**
   * Writes over the entry of this version if it expires after `aliveAt`. `none`: there is no such entry. `perhaps`: there is none any
   * more, but an answer was lost on the way, so it may have been written before that, and another has written over it.
   */
  overwrite(key: string, expected: Version, entry: Entry, aliveAt: EpochMs): Promise<Overwritten>
  /** Moves the expiry of a record that is alive at `now`; nothing else of it. */
  touch(key: string, expiresAt: EpochMs, now: EpochMs): Promise<void>
  /** At most `limit` entries of the keys after `after`, in their order; dead ones and tombstones too. Optional, as SessionStore.scan is. */
  page?(after: string, limit: number): Promise<readonly (readonly [key: string, entry: Entry])[]>
  /** Resolves when the backend would take a write. */
  ping(): Promise<void>
  close(): Promise<void>
}

const WHATEVER_ITS_AGE = 0 as EpochMs
/** Before every key: none is empty. */
const FIRST = ''
/** Entries one step reads, so that it ends well before the deadline of a call. */
const MAX_PAGE = 500
/** Each lost attempt is another caller's success, so this many are never needed. */
const MAX_ATTEMPTS = 1_000

/** The contract of SessionStore over conditional writes: versions are minted here, and time is the gateway's. */
export function createEntryStore(kind: string, entries: Entries, clock: Clock): SessionStore {
  const living = (entry: Entry | undefined) => entry && entry.expiresAt > clock() ? entry : undefined
  const recordIn = (entry: Entry | undefined) => {
    const alive = living(entry)
    return alive && recordOf(alive)
  }

  /** `step` begins at once, so that the caller's bytes are copied before it can change them. */
  async function run<T>(operation: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      throw new StoreUnavailableError(kind, operation, error)
    }
  }

  async function create(key: string, own: Entry): Promise<WriteOutcome> {
    let dead: Entry | undefined
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const isStored = dead ? await entries.overwrite(key, dead.version, own, WHATEVER_ITS_AGE) === 'done' : await entries.insert(key, own)
      if (isStored) return storedAs(own)
      const held = await entries.read(key)
      if (held?.version === own.version) return storedAs(own)       // our own write, carried out before its answer was lost
      if (living(held)) return refusalOf(held)
      dead = held
    }
    throw crowded()
  }

  async function replace(key: string, expected: Version, own: Entry): Promise<WriteOutcome> {
    const overwritten = await entries.overwrite(key, expected, own, clock())
    if (overwritten === 'done') return storedAs(own)
    const held = await entries.read(key)
    if (held?.version === own.version) return storedAs(own)
    const refusal = refusalOf(living(held))
    if (overwritten === 'perhaps' && refusal.outcome === 'conflict') throw new OutcomeUnknownError()
    return refusal
  }

  async function destroy(key: string, tombstone: Entry): Promise<StoredRecord | undefined> {
    let ended: StoredRecord | undefined
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const held = await entries.read(key)
      if (held?.version === tombstone.version) return ended         // our own write, as above
      const alive = living(held)
      if (alive && !alive.bytes && alive.expiresAt >= tombstone.expiresAt) return undefined
      ended = alive && recordOf(alive)
      const isStored = held ? await entries.overwrite(key, held.version, tombstone, WHATEVER_ITS_AGE) === 'done' : await entries.insert(key, tombstone)
      if (isStored) return ended
    }
    throw crowded()
  }

  /** What one turn of the event loop loads is read at once. */
  function loadTogether(readAll: NonNullable<Entries['readAll']>): SessionStore['load'] {
    async function ask(keys: readonly string[]): Promise<(Entry | undefined)[]> {
      const [first, ...others] = keys
      if (others.length === 0) return [await entries.read(first!)]
      const found = await readAll(keys)
      return keys.map((key) => found.get(key))
    }
    const find = createBatches({ limit: MAX_BATCH, ask, isDivisible: (error) => error instanceof StoreRefusal, atEndOfTurn: setImmediate })
    const loading = { read: recordIn, explain: (error: unknown) => new StoreUnavailableError(kind, 'load', error) }
    return (key) => find(key, loading)
  }

  /** The page of keys that follow the cursor, which is a key. Keyset, not offset: what comes and goes meanwhile moves nothing. */
  async function scan(page: NonNullable<Entries['page']>, cursor: string = FIRST, limit: number): Promise<ScanPage> {
    const size = Math.min(limit, MAX_PAGE)
    const found = await page(cursor, size)
    const records = found.flatMap(([key, entry]) => {
      const record = recordIn(entry)
      return record ? [[key, record] as const] : []
    })
    return { records, next: found.length < size ? undefined : found.at(-1)?.[0] }
  }

  return {
    kind,

    load: entries.readAll ? loadTogether(entries.readAll) : (key) => run('load', async () => recordIn(await entries.read(key))),
    create: (key, bytes, expiresAt) => run('create', () => create(key, entryOf(Buffer.from(bytes), expiresAt))),
    replace: (key, expected, bytes, expiresAt) => run('replace', () => replace(key, expected, entryOf(Buffer.from(bytes), expiresAt))),
    touch: (key, expiresAt) => run('touch', () => entries.touch(key, expiresAt, clock())),
    destroy: (key, tombstoneUntil) => run('destroy', () => destroy(key, entryOf(undefined, tombstoneUntil))),
    ...(entries.page && { scan: (cursor, limit) => run('scan', () => scan(entries.page!, cursor, limit)) }),
    ping: () => run('ping', () => entries.ping()),
    close: () => entries.close(),
  }
}

function entryOf(bytes: Uint8Array | undefined, expiresAt: EpochMs): Entry {
  return { bytes, version: mintVersion(), expiresAt }
}

function recordOf({ bytes, version, expiresAt }: Entry): StoredRecord | undefined {
  return bytes && { bytes, version, expiresAt }
}

function storedAs({ version }: Entry): WriteOutcome {
  return { outcome: 'stored', version }
}

function refusalOf(alive: Entry | undefined): WriteOutcome {
  const current = alive && recordOf(alive)
  return current ? { outcome: 'conflict', current } : { outcome: 'missing' }
}

function crowded(): Error {
  return new Error(`others were first ${MAX_ATTEMPTS} times`)
}
