import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { SessionConflictError, SessionCorruptError, SessionLimitError } from '../errors.ts'
import { createRecent } from '../recent.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Codec } from './codec.ts'
import type { LifetimePolicy } from './lifetime.ts'
import type { Loaded, Loader } from './loader.ts'
import type { EpochMs, JsonObject, Session, SessionId } from './session.ts'
import { storedLive } from './stored-live.ts'

/** What is known of one subject. */
export interface SubjectRecord {
  /** A session that logged in under an earlier epoch has ended. Begins with the time, so that a lost record does not begin again. */
  readonly epoch: number
  /** Whether sessions of the time before epochs were counted have ended too. */
  readonly isRevoked: boolean
  /** In the order of their logins, the oldest first. Some may have ended since: whoever needs to know looks. */
  readonly sessions: readonly SubjectEntry[]
}

export interface SubjectEntry {
  /** The public handle of the session. */
  readonly handle: string
  /** Its store key. */
  readonly key: string
  readonly enrolledAt: EpochMs
  /** When its absolute lifetime ends. */
  readonly endsAt: EpochMs
}

export interface SubjectsOptions {
  readonly store: SessionStore
  readonly codec: Codec
  readonly policy: LifetimePolicy
  readonly clock: Clock
  /** The subject in a session's data. */
  readonly subjectOf: (data: JsonObject) => string | undefined
  /** How many sessions a subject may have, at most MAX_LISTED; undefined: any number. */
  readonly limit: { readonly sessions: number; readonly over: 'reject' | 'evict-oldest' } | undefined
  readonly tombstoneMs: number
}

/** Ties sessions to their subjects, so that "log out everywhere" is one write that holds at once on all nodes. */
export interface Subjects {
  /**
   * To be asked before `next` is stored under `key`: resolves to the session as it is to be stored, enrolled with its subject where
   * that is due; undefined when `before`, from which it comes, has been revoked meanwhile. Rejects with SessionLimitError when the
   * subject may have no further session, or as a store does; then nothing was enrolled.
   */
  admit(before: Loaded | undefined, next: Session, key: string): Promise<Session | undefined>
  /** Takes back an enrolment: the session was not stored after all, or has ended. A matter of tidiness, so it never rejects. */
  withdraw(session: Session, key: string): Promise<void>
  /** The same loads, but a session whose subject has revoked it is none. */
  guard(loader: Loader): Loader
  /** Ends every session of the subject. Resolves to those it knew by name. */
  revoke(subject: string): Promise<readonly SubjectEntry[]>
  /** What is known of the subject; undefined: nothing. */
  read(subject: string): Promise<SubjectRecord | undefined>
  /** Whether the session stored under `key` still counts. */
  isLive(key: string, session: Pick<Session, 'data' | 'epoch'>): Promise<boolean>
}

/** Sessions listed per subject. Where a limit holds, the list is complete; else older ones fall off it, and the epoch still ends them. */
export const MAX_LISTED = 128
/** An enrolled session may not be stored yet for so long: longer than any store call. */
const RESERVED_MS = 10_000
const MAX_ATTEMPTS = 40
/** As the loader does: a check joins a read at most this old. */
const MAX_JOIN_MS = 20
const MAX_HINTS = 10_000

const NOBODY: ReadonlySet<SubjectEntry> = new Set()

/** The store key of a subject's record. A plain hash: keyed, it would change with the key, and a revocation could miss what lives. */
export function subjectKeyOf(subject: string): string {
  return `subject.${hash('sha256', `sessiongate subject\0${subject}`, 'base64url')}`
}

interface Decision<T> {
  readonly next?: SubjectRecord
  readonly result: T
}

interface Enrolment {
  /** Undefined: the session was revoked meanwhile. */
  readonly session: Session | undefined
  readonly evicted: readonly SubjectEntry[]
}

export function createSubjects(options: SubjectsOptions): Subjects {
  const { store, codec, policy, clock, subjectOf, limit } = options
  const joined = createJoinedReads((key) => store.load(key))
  /** Which subject's record an id led to lately; a wrong hint costs a read. */
  const hints = createRecent<string>(MAX_HINTS)

  function recordOf(key: string, stored: StoredRecord | undefined): SubjectRecord | undefined {
    if (!stored) return undefined
    const envelope = codec.decode(key, stored.bytes)
    if (envelope.kind !== 'subject') throw new SessionCorruptError('it is no record of a subject')
    return envelope.subject
  }

  /** Compare-and-set of one subject's record, until nobody came between. `decide` gives undefined to leave it as it is. */
  async function update<T>(subject: string, decide: (known: SubjectRecord | undefined) => Promise<Decision<T>>): Promise<T> {
    const key = subjectKeyOf(subject)
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const stored = await store.load(key)
      const { next, result } = await decide(recordOf(key, stored))
      if (!next) return result
      const bytes = codec.encode(key, { kind: 'subject', subject: next })
      // It outlives every session it speaks of, those it does not list included.
      const until = Math.max(clock() + policy.absoluteMs, stored?.expiresAt ?? 0, ...next.sessions.map(({ endsAt }) => endsAt)) as EpochMs
      const written = stored ? await store.replace(key, stored.version, bytes, until) : await store.create(key, bytes, until)
      joined.forget(key)
      if (written.outcome === 'stored') return result
    }
    throw new SessionConflictError(MAX_ATTEMPTS)
  }

  /** Whether the entry's session lives, as far as its own record says, or is about to be stored. */
  async function isTaken(subject: string, { key, enrolledAt }: SubjectEntry): Promise<boolean> {
    const stored = await store.load(key)
    return stored ? isOf(subject, key, stored) : enrolledAt + RESERVED_MS > clock()
  }

  /** Another subject may have logged in under the same key. */
  function isOf(subject: string, key: string, stored: StoredRecord): boolean {
    const live = storedLive(codec, policy, clock(), key, stored)
    return live !== undefined && subjectOf(live.session.data) === subject
  }

  /** Who has to go for one more, oldest first. Throws SessionLimitError where nobody goes. */
  async function excessOf(subject: string, entries: readonly SubjectEntry[]): Promise<ReadonlySet<SubjectEntry>> {
    if (!limit || entries.length < limit.sessions) return NOBODY
    const alive = await Promise.all(entries.map((entry) => isTaken(subject, entry)))
    const living = entries.filter((_, i) => alive[i])
    if (living.length >= limit.sessions && limit.over === 'reject') throw new SessionLimitError(limit.sessions)
    return new Set([...entries.filter((_, i) => !alive[i]), ...living.slice(0, Math.max(0, living.length - limit.sessions + 1))])
  }

  async function admit(before: Loaded | undefined, next: Session, key: string): Promise<Session | undefined> {
    const subject = subjectOf(next.data)
    if (subject === undefined) return withoutEpoch(next)
    const known = before && subjectOf(before.session.data) === subject ? before : undefined
    if (known?.key === key && known.session.epoch !== undefined) return next
    return enroll(subject, known, next, key)
  }

  /** `known`: the session of the same subject that it continues. It keeps its place in the order of logins, and needs no room. */
  async function enroll(subject: string, known: Loaded | undefined, next: Session, key: string): Promise<Session | undefined> {
    const { session, evicted } = await update<Enrolment>(subject, async (record = { epoch: clock(), isRevoked: false, sessions: [] }) => {
      if (known && !counts(known.key, known.session, record)) return { result: { session: undefined, evicted: [] } }
      const unexpired = record.sessions.filter((entry) => entry.key !== key && entry.endsAt > clock())
      const gone = known ? NOBODY : await excessOf(subject, unexpired)
      const sessions = unexpired.filter((entry) => !gone.has(entry))
      // Until the pointer of a rotation is stored, the session lives under its old key: that stays, the new one comes behind it.
      const at = sessions.findIndex((entry) => entry.key === known?.key)
      const own: SubjectEntry = { handle: next.handle, key, enrolledAt: clock(), endsAt: next.createdAt + next.absoluteMs as EpochMs }
      sessions.splice(at < 0 ? sessions.length : at + 1, 0, own)
      return { next: { ...record, sessions: sessions.slice(-MAX_LISTED) }, result: { session: { ...next, epoch: record.epoch }, evicted: [...gone] } }
    })
    await endStored(subject, evicted)
    return session
  }

  /** They have ended already, by the subject's record; this frees their space. */
  async function endStored(subject: string, entries: readonly SubjectEntry[]): Promise<void> {
    const until = clock() + options.tombstoneMs as EpochMs
    await Promise.allSettled(entries.map(async ({ key }) => {
      const stored = await store.load(key)
      if (stored && isOf(subject, key, stored)) await store.destroy(key, until)
    }))
  }

  function counts(key: string, { epoch }: Pick<Session, 'epoch'>, record: SubjectRecord | undefined): boolean {
    if (epoch === undefined) return !record?.isRevoked
    // A record that was lost (evicted, flushed) may have held a revocation.
    if (!record || epoch < record.epoch) return false
    return !limit || record.sessions.some((entry) => entry.key === key)
  }

  async function isLive(key: string, session: Pick<Session, 'data' | 'epoch'>): Promise<boolean> {
    const subject = subjectOf(session.data)
    if (subject === undefined) return true
    const subjectKey = subjectKeyOf(subject)
    return counts(key, session, recordOf(subjectKey, await store.load(subjectKey)))
  }

  /** Reads the subject's record beside the session's where the id was seen before, else after it. */
  async function load(loader: Loader, id: SessionId): Promise<Loaded | undefined> {
    const hint = hints.get(id)
    const early = hint === undefined ? undefined : joined.read(hint)
    early?.catch(() => undefined)
    const loaded = await loader.load(id)
    const subject = loaded && subjectOf(loaded.session.data)
    if (!loaded || subject === undefined) return loaded
    const subjectKey = subjectKeyOf(subject)
    if (hint !== subjectKey) hints.set(id, subjectKey, 1)
    const stored = await (hint === subjectKey && early ? early : joined.read(subjectKey))
    if (counts(loaded.key, loaded.session, recordOf(subjectKey, stored))) return loaded
    // That read may have begun before another process stored this very login.
    return await isLive(loaded.key, loaded.session) ? loaded : undefined
  }

  return {
    admit,
    isLive,
    withdraw: async (session, key) => {
      const subject = subjectOf(session.data)
      if (subject === undefined || session.epoch === undefined) return
      const withdrawn = update(subject, (record) => Promise.resolve({
        result: undefined,
        ...(record?.sessions.some((entry) => entry.key === key) ? { next: { ...record, sessions: record.sessions.filter((entry) => entry.key !== key) } } : {}),
      }))
      await withdrawn.catch(() => undefined)
    },
    guard: (loader) => ({
      ...loader,
      load: (id) => load(loader, id),
      async reload(id) {
        const standing = await loader.reload(id)
        return standing && await isLive(standing.key, standing.session) ? standing : undefined
      },
    }),
    async revoke(subject) {
      const ended = await update(subject, (record) => Promise.resolve({
        next: { epoch: Math.max((record?.epoch ?? 0) + 1, clock()), isRevoked: true, sessions: [] },
        result: record?.sessions ?? [],
      }))
      await endStored(subject, ended)
      return ended
    },
    async read(subject) {
      const key = subjectKeyOf(subject)
      return recordOf(key, await store.load(key))
    },
  }
}

function withoutEpoch(session: Session): Session {
  if (session.epoch === undefined) return session
  const { epoch: _epoch, ...rest } = session
  return rest
}

interface Reading {
  readonly startedAt: number
  readonly result: Promise<StoredRecord | undefined>
}

/** Reads of one key that come together share one. */
function createJoinedReads(readNow: (key: string) => Promise<StoredRecord | undefined>) {
  const inFlight = new Map<string, Reading>()
  return {
    read(key: string): Promise<StoredRecord | undefined> {
      const startedAt = performance.now()
      const current = inFlight.get(key)
      if (current && startedAt - current.startedAt <= MAX_JOIN_MS) return current.result
      const reading: Reading = {
        startedAt,
        result: readNow(key).finally(() => {
          if (inFlight.get(key) === reading) inFlight.delete(key)
        }),
      }
      inFlight.set(key, reading)
      return reading.result
    },
    forget: (key: string) => void inFlight.delete(key),
  }
}
