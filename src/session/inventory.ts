import type { Clock } from '../clock.ts'
import { SessionCorruptError } from '../errors.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Codec } from './codec.ts'
import type { LifetimePolicy } from './lifetime.ts'
import type { EpochMs, JsonObject } from './session.ts'
import { storedLive } from './stored-live.ts'
import type { Subjects } from './subjects.ts'

/** A session as an operator sees it. Neither its id nor its cookie is anywhere in it. */
export interface SessionFacts {
  readonly handle: string
  readonly subject: string | undefined
  readonly createdAt: EpochMs
  readonly touchedAt: EpochMs
  readonly expiresAt: EpochMs
  readonly permanent: boolean
  /** Of the record, as stored. */
  readonly bytes: number
}

export interface SessionDetails extends SessionFacts {
  readonly data: JsonObject
}

export interface Page {
  readonly sessions: readonly SessionFacts[]
  /** Where the next page begins; undefined: this was the last. */
  readonly next: string | undefined
}

/** What operators may look at and end. Every method rejects with StoreUnavailableError, or NotScannableError where it has to look through the store. */
export interface Inventory {
  /** About `limit` live sessions, in no order. What begins or ends meanwhile may be missing or not. */
  list(cursor: string | undefined, limit: number): Promise<Page>
  listOf(subject: string): Promise<readonly SessionFacts[]>
  find(handle: string): Promise<SessionDetails | undefined>
  /** Whether there was one. */
  revoke(handle: string): Promise<boolean>
  /** "Log out everywhere". With subjects counted (subjects.ts) one write that holds at once; else each session that is found. */
  revokeOf(subject: string): Promise<number>
  revokeAll(): Promise<number>
}

/** The store has no way to look through its records. */
export class NotScannableError extends Error {
  constructor(kind: string, instead = 'only the sessions of one subject can be asked for, with session.revocation on') {
    super(`the ${kind} store cannot be looked through; ${instead}`)
  }
}

export interface InventoryOptions {
  readonly store: SessionStore
  readonly codec: Codec
  readonly policy: LifetimePolicy
  readonly clock: Clock
  readonly subjectOf: (data: JsonObject) => string | undefined
  readonly subjects: Subjects | undefined
  readonly tombstoneMs: number
}

interface Found extends SessionDetails {
  readonly key: string
}

const SCAN_PAGE = 500

export function createInventory({ store, codec, policy, clock, subjectOf, subjects, tombstoneMs }: InventoryOptions): Inventory {
  async function foundOf(key: string, record: StoredRecord): Promise<Found | undefined> {
    try {
      const live = storedLive(codec, policy, clock(), key, record)
      if (!live || (subjects && !await subjects.isLive(key, live.session))) return undefined
      const { session: { handle, createdAt, permanent, data }, touchedAt, expiresAt, bytes } = live
      return { key, handle, subject: subjectOf(data), createdAt, touchedAt, expiresAt, permanent, bytes, data }
    } catch (error) {
      if (error instanceof SessionCorruptError) return undefined
      throw error
    }
  }

  async function page(cursor: string | undefined, limit: number): Promise<{ readonly found: readonly Found[]; readonly next: string | undefined }> {
    if (!store.scan) throw new NotScannableError(store.kind)
    const { records, next } = await store.scan(cursor, limit)
    const found = await Promise.all(records.map(([key, record]) => foundOf(key, record)))
    return { found: found.filter((one) => one !== undefined), next }
  }

  /** Every session once, though a store may show one twice. */
  async function* all(): AsyncGenerator<Found> {
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const { found, next } = await page(cursor, SCAN_PAGE)
      for (const one of found) {
        if (seen.has(one.key)) continue
        seen.add(one.key)
        yield one
      }
      cursor = next
    } while (cursor !== undefined)
  }

  async function search(handle: string): Promise<Found | undefined> {
    for await (const one of all()) if (one.handle === handle) return one
    return undefined
  }

  async function searchOf(subject: string): Promise<readonly Found[]> {
    if (!subjects) return collect((one) => one.subject === subject)
    const { sessions = [] } = await subjects.read(subject) ?? {}
    const found = await Promise.all(sessions.map(async ({ key }) => {
      const record = await store.load(key)
      return record && foundOf(key, record)
    }))
    return found.filter((one) => one !== undefined && one.subject === subject) as Found[]
  }

  async function collect(isWanted: (one: Found) => boolean): Promise<readonly Found[]> {
    const wanted: Found[] = []
    for await (const one of all()) if (isWanted(one)) wanted.push(one)
    return wanted
  }

  async function end(key: string): Promise<void> {
    await store.destroy(key, clock() + tombstoneMs as EpochMs)
  }

  return {
    async list(cursor, limit) {
      const sessions: SessionFacts[] = []
      let next = cursor
      do {
        const { found, next: after } = await page(next, limit - sessions.length)
        sessions.push(...found.map(factsOf))
        next = after
      } while (next !== undefined && sessions.length < limit)
      return { sessions, next }
    },
    listOf: async (subject) => (await searchOf(subject)).map(factsOf),
    async find(handle) {
      const found = await search(handle)
      return found && { ...factsOf(found), data: found.data }
    },
    async revoke(handle) {
      const found = await search(handle)
      if (found) await end(found.key)
      return found !== undefined
    },
    async revokeOf(subject) {
      const found = await searchOf(subject)
      if (subjects) await subjects.revoke(subject)
      else for (const { key } of found) await end(key)
      return found.length
    },
    async revokeAll() {
      let count = 0
      for await (const { key } of all()) {
        await end(key)
        count++
      }
      return count
    },
  }
}

function factsOf({ handle, subject, createdAt, touchedAt, expiresAt, permanent, bytes }: SessionFacts): SessionFacts {
  return { handle, subject, createdAt, touchedAt, expiresAt, permanent, bytes }
}
