import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { MutationRefusedError, SessionConflictError, StoreUnavailableError } from '../errors.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'
import { handleOf, mintSessionId, sealSuccessor, storeKeyOf as hashedKeyOf } from '../signing/ids.ts'
import { StoreRefusal } from '../stores/refusal.ts'
import type { SessionStore } from '../stores/store.ts'
import { createAdoption, type OldSession } from './adoption.ts'
import type { Codec } from './codec.ts'
import { expiryOf, isTouchDue, storeExpiryOf, touched, type LifetimePolicy, type TouchRule } from './lifetime.ts'
import { dataTextOf } from './data-text.ts'
import { createLoader, type Loaded, type Standing } from './loader.ts'
import { applyChange, type Change, type Mutation } from './mutation.ts'
import { isSameJson, valueAt, type DataPath } from './paths.ts'
import type { EpochMs, JsonObject, Session, SessionId, Version } from './session.ts'
import type { Subjects } from './subjects.ts'
import { createTurns } from './turns.ts'

/** What a request's cookies opened. */
export interface Opened {
  readonly loaded: Loaded | undefined
  /** The client sent a cookie with our name, whatever it was worth. */
  readonly wasPresented: boolean
  /** The visitor should get our cookie with this answer: theirs was signed by a retired key, or is an app's that was taken over. */
  readonly isCookieDue: boolean
  /** Set when the store was away and the route went on without a session: nothing may be committed. */
  readonly unavailable: StoreUnavailableError | undefined
}

export type CookieChange =
  | { readonly kind: 'keep' }
  /** `sealed`: the text to be kept in place of the signed id, where the browser keeps the session itself. */
  | { readonly kind: 'set'; readonly id: SessionId; readonly permanentUntil: EpochMs | undefined; readonly sealed?: string }
  | { readonly kind: 'clear' }

export type CommitOutcome = 'none' | 'touched' | 'stored' | 'created' | 'rotated' | 'destroyed' | 'dropped'

export interface Committed {
  readonly cookie: CookieChange
  readonly outcome: CommitOutcome
}

export interface CommitRules {
  readonly touch: TouchRule
  /** Throws SessionTooLargeError when the next state cannot be stored or delivered. */
  readonly check: (next: Session) => void
}

export interface SessionEvents {
  conflict(): void
  ambiguousCookies(): void
  touchFailed(error: unknown): void
}

export interface SessionsOptions {
  readonly store: SessionStore
  readonly codec: Codec
  readonly cookies: CookieSigner
  /** Where the session of an id is stored. Default: under its hash; in a store shared with an app, where the app looks for it. */
  readonly storeKeyOf?: (id: SessionId) => string
  /** Keys the public handle of new ids. */
  readonly handleSecret: string
  readonly policy: LifetimePolicy
  readonly rotateOn: readonly DataPath[]
  /** Where the data says who the user is. */
  readonly subject?: DataPath | undefined
  /** Where sessions can be revoked by subject, or are limited in number. */
  readonly subjects?: Subjects | undefined
  /** How long an ended or moved record is remembered; longer than the longest request. */
  readonly tombstoneMs: number
  readonly clock: Clock
  readonly events: SessionEvents
}

/** Opens and commits sessions over any store: the only thing of the session that the request path sees. */
export interface Sessions {
  /** `candidates`: the values of every cookie with our name. Rejects with StoreUnavailableError or SessionCorruptError. */
  open(candidates: readonly string[]): Promise<Opened>
  /**
   * Makes a session that an app kept by its own means one of ours, once (adoption.ts). `check` throws when it cannot be stored.
   * Rejects as `open` does, or with SessionTooLargeError.
   */
  adopt(old: OldSession, check: (session: Session) => void): Promise<Opened>
  /** Whether a request that changes nothing has something to commit all the same: a use to note, or a cookie to replace. */
  isRefreshDue(opened: Opened, touch: TouchRule): boolean
  /**
   * Applies the mutation with compare-and-set; resolves when the store has said it is stored. Rejects with
   * StoreUnavailableError (unknown whether stored), SessionConflictError, MutationRefusedError or SessionTooLargeError.
   */
  commit(opened: Opened, mutation: Mutation, rules: CommitRules): Promise<Committed>
  /** The id under which the session lives now, rotations followed; undefined when it has ended. Rejects as `open` does. */
  currentId(id: SessionId): Promise<SessionId | undefined>
}

const MAX_COMMIT_ATTEMPTS = 40
/** Store reads one request may cause with cookies that are signed. A forged one costs a hash at most. */
const MAX_SIGNED_CANDIDATES = 8
const MAX_BACKOFF_MS = 25
const KEEP: CookieChange = { kind: 'keep' }
const CLEAR: CookieChange = { kind: 'clear' }
const UNCHANGED: Committed = { cookie: KEEP, outcome: 'none' }

/** The cookie a request came with. */
interface Presented {
  readonly id: SessionId
  readonly isCookieDue: boolean
}

/** What a commit came to, and where the session stands then; undefined when it has ended. */
interface Turn {
  readonly committed: Committed
  readonly standing: Standing | undefined
}
/** The session ended while this request ran: its change is dropped, and the cookie, which may be a newer one's, is left alone. */
const DROPPED: Turn = { committed: { cookie: KEEP, outcome: 'dropped' }, standing: undefined }

export const NO_SESSION: Opened = { loaded: undefined, wasPresented: false, isCookieDue: false, unavailable: undefined }
const NOTHING_OPENED: Opened = { ...NO_SESSION, wasPresented: true }

export function createSessions(options: SessionsOptions): Sessions {
  const { store, codec, cookies, policy, clock, events, subjects } = options
  const { storeKeyOf = hashedKeyOf } = options
  const plainLoader = createLoader(store, codec, policy, clock, storeKeyOf)
  const loader = subjects?.guard(plainLoader) ?? plainLoader
  const turns = createTurns<Turn>()
  const encode = (key: string, session: Session): Uint8Array => codec.encode(key, { kind: 'live', session })
  const tombstoneUntil = (): EpochMs => (clock() + options.tombstoneMs) as EpochMs
  const takeOver = createAdoption({ store, codec, loader, clock, blank, subjects })

  async function open(candidates: readonly string[]): Promise<Opened> {
    const [only] = candidates
    if (only === undefined) return NO_SESSION
    if (candidates.length > 1) return openOneOf(candidates)
    const unsigned = cookies.unsign(only)
    if (!unsigned) return NOTHING_OPENED
    const loaded = await loader.load(unsigned.id)
    return loaded ? openedWith(loaded, unsigned.isCurrentKey) : NOTHING_OPENED
  }

  /** Every candidate is tried; two that open different sessions count as none. */
  async function openOneOf(candidates: readonly string[]): Promise<Opened> {
    const signed = new Map<SessionId, boolean>()
    for (const candidate of candidates) {
      const unsigned = cookies.unsign(candidate)
      if (unsigned) signed.set(unsigned.id, unsigned.isCurrentKey)
    }
    if (signed.size > MAX_SIGNED_CANDIDATES) return NOTHING_OPENED
    const found = (await Promise.all([...signed.keys()].map(loader.load))).filter((loaded) => loaded !== undefined)
    if (found.length > 1) events.ambiguousCookies()
    const [loaded] = found
    return loaded && found.length === 1 ? openedWith(loaded, signed.get(loaded.session.id) === true) : NOTHING_OPENED
  }

  function openedWith(loaded: Loaded, isCurrentKey: boolean): Opened {
    return { loaded, wasPresented: true, isCookieDue: !isCurrentKey, unavailable: undefined }
  }

  async function adopt(old: OldSession, check: (session: Session) => void): Promise<Opened> {
    const loaded = await takeOver(old, check)
    return { loaded, wasPresented: true, isCookieDue: loaded !== undefined, unavailable: undefined }
  }

  function commit(opened: Opened, mutation: Mutation, rules: CommitRules): Promise<Committed> {
    if (mutation.kind === 'none') return refresh(opened, rules.touch)
    if (opened.unavailable) return Promise.reject(opened.unavailable)
    if (mutation.kind === 'destroy') return destroy(opened)
    const { loaded, isCookieDue } = opened
    if (!loaded) return create(mutation, rules)
    const presented: Presented = { id: loaded.session.id, isCookieDue }
    const asOpened: Standing = { key: loaded.key, session: loaded.session, version: loaded.version, isSuccessor: false }
    // Whoever waited for a turn starts from what that turn stored, and so meets no conflict within this process.
    return turns.take(loaded.key, (before) => change(presented, before?.standing ?? asOpened, mutation, rules)).then(({ committed }) => committed)
  }

  function isRefreshDue({ loaded, isCookieDue }: Opened, rule: TouchRule): boolean {
    return loaded !== undefined && (isCookieDue || isTouchDue(loaded.session, policy, rule, clock()))
  }

  /**
   * What a request that changes nothing still may do: slide the idle lifetime, replace a cookie signed by a retired key. Both look
   * at the record again first, since the request may have been slow: a session that has moved to another id meanwhile must not
   * get its old cookie back, one that has ended must not get any, and lifetimes may have become shorter.
   */
  async function refresh(opened: Opened, rule: TouchRule): Promise<Committed> {
    const { loaded, isCookieDue } = opened
    if (!loaded || !isRefreshDue(opened, rule)) return UNCHANGED
    try {
      const standing = await loader.reload(loaded.session.id)
      if (!standing || standing.isSuccessor) return UNCHANGED
      const now = clock()
      if (!isTouchDue(standing.session, policy, rule, now)) return { cookie: isCookieDue ? setCookie(standing.session) : KEEP, outcome: 'none' }
      const next = touched(standing.session, now)
      await store.touch(standing.key, storeExpiryOf(next))
      loader.forget(standing.session.id)
      return { cookie: isCookieDue || next.permanent ? setCookie(next) : KEEP, outcome: 'touched' }
    } catch (error) {
      events.touchFailed(error)
      return UNCHANGED
    }
  }

  function blank(): Session {
    const now = clock()
    const id = mintSessionId()
    return {
      id, handle: handleOf(id, options.handleSecret), data: {}, createdAt: now, touchedAt: now,
      permanent: policy.permanent, idleMs: policy.idleMs, absoluteMs: policy.absoluteMs,
    }
  }

  async function create(change: Change, rules: CommitRules): Promise<Committed> {
    if (change.ifVersion !== undefined) throw new MutationRefusedError('version', 'there is no session, so no version to match')
    const anonymous = applyChange(blank(), change)
    if (isEmpty(anonymous)) return UNCHANGED
    rules.check(anonymous)
    const key = storeKeyOf(anonymous.id)
    const session = subjects ? await subjects.admit(undefined, anonymous, key) ?? anonymous : anonymous
    const written = await store.create(key, encode(key, session), storeExpiryOf(session))
    if (written.outcome !== 'stored') throw new SessionConflictError(1)
    return { cookie: setCookie(session), outcome: 'created' }
  }

  async function change({ id, isCookieDue }: Presented, first: Standing, change: Change, rules: CommitRules): Promise<Turn> {
    // To a request that took long the session may look dead: others may have used it meanwhile.
    let base = expiryOf(first.session, policy) > clock() ? first : await loader.reload(id)
    for (let attempt = 1; attempt <= MAX_COMMIT_ATTEMPTS; attempt++) {
      if (!base) return DROPPED
      if (change.ifVersion !== undefined && change.ifVersion !== base.version) throw new MutationRefusedError('version', 'the record is at another version')
      const next = applyChange(base.session, change, options.subject, clock())
      const turn = isEmpty(next, base.session) ? await clear(base) : await write(base, next, change.rotate, isCookieDue, rules)
      if (turn) return turn

      events.conflict()
      if (attempt > 1) await sleep(Math.random() * Math.min(attempt * 2, MAX_BACKOFF_MS))
      base = await loader.reload(id)
    }
    throw new SessionConflictError(MAX_COMMIT_ATTEMPTS)
  }

  /** Undefined: another writer was first. */
  async function clear(base: Standing): Promise<Turn | undefined> {
    const version = await replace(base, codec.encode(base.key, { kind: 'gone' }), tombstoneUntil())
    if (version) await subjects?.withdraw(base.session, base.key)
    return version && { committed: { cookie: base.isSuccessor ? KEEP : CLEAR, outcome: 'destroyed' }, standing: undefined }
  }

  /** One compare-and-set. Undefined: another writer was first, or the session was revoked. */
  async function write(base: Standing, next: Session, isRotationAsked: boolean, isCookieDue: boolean, rules: CommitRules): Promise<Turn | undefined> {
    rules.check(next)
    const isLogin = options.rotateOn.some((path) => !isSameJson(valueAt(base.session.data, path), valueAt(next.data, path)))
    // A request overtaken by a rotation may come from whoever fixed the old id, and so may the rotation: the one never learns the
    // new id, and what needs an id that nobody else knows, a login, is not put under it.
    if (base.isSuccessor && isLogin) throw new SessionConflictError(1)
    if (!base.isSuccessor && (isLogin || isRotationAsked)) return rotate(base, next)
    const admitted = subjects ? await subjects.admit(base, next, base.key) : next
    if (!admitted) return undefined
    const bytes = encode(base.key, admitted)
    const dataText = dataTextOf(admitted.data)
    const version = await replace(base, bytes, storeExpiryOf(admitted))
    if (!version) return undefined
    loader.remember(admitted, version, bytes.length, dataText)
    const isSetDue = !base.isSuccessor && (next.permanent || base.session.permanent || isCookieDue)
    return { committed: { cookie: isSetDue ? setCookie(next) : KEEP, outcome: 'stored' }, standing: { key: base.key, session: admitted, version, isSuccessor: base.isSuccessor } }
  }

  async function replace({ key, session, version }: Loaded, bytes: Uint8Array, expiresAt: EpochMs): Promise<Version | undefined> {
    const written = await store.replace(key, version, bytes, expiresAt)
    loader.forget(session.id)
    return written.outcome === 'stored' ? written.version : undefined
  }

  /** The successor is stored first and known to nobody; the old record then becomes a pointer to it in one step, or the successor goes. */
  async function rotate(base: Standing, next: Session): Promise<Turn | undefined> {
    const id = mintSessionId()
    const renamed = { ...next, id, handle: handleOf(id, options.handleSecret) }
    const key = storeKeyOf(id)
    const session = subjects ? await subjects.admit(base, renamed, key) : renamed
    if (!session) return undefined
    const written = await store.create(key, encode(key, session), storeExpiryOf(session))
    if (written.outcome !== 'stored') return undefined
    const pointer = codec.encode(base.key, { kind: 'moved', sealedSuccessor: sealSuccessor(base.session.id, id) })
    if (await replace(base, pointer, tombstoneUntil())) {
      return { committed: { cookie: setCookie(session), outcome: 'rotated' }, standing: { key, session, version: written.version, isSuccessor: true } }
    }
    await store.destroy(key, clock())
    await subjects?.withdraw(session, key)
    return undefined
  }

  /**
   * Ends the session where it lives by now. Pointers that rotations left stay: to whoever follows one the session must not be over
   * while, under its newer id, it is not.
   */
  async function destroy({ loaded, wasPresented }: Opened): Promise<Committed> {
    let standing: Loaded | undefined = loaded
    for (let attempt = 1; standing && !await end(standing); attempt++) {
      if (attempt === MAX_COMMIT_ATTEMPTS) await endAnyway(standing.session.id)
      standing = await loader.reload(standing.session.id)
    }
    if (loaded) await subjects?.withdraw(loaded.session, loaded.key)
    return { cookie: wasPresented ? CLEAR : KEEP, outcome: loaded ? 'destroyed' : 'none' }
  }

  /** False: another writer was first. A store that takes no write because it is full may still let go. */
  async function end(standing: Loaded): Promise<boolean> {
    try {
      return await replace(standing, codec.encode(standing.key, { kind: 'gone' }), tombstoneUntil()) !== undefined
    } catch (error) {
      if (!(error instanceof StoreUnavailableError && error.cause instanceof StoreRefusal)) throw error
      await endAnyway(standing.session.id)
      return true
    }
  }

  /** Whatever stands there, and where it points to. */
  async function endAnyway(first: SessionId): Promise<void> {
    let id: SessionId | undefined = first
    while (id !== undefined) {
      const key = storeKeyOf(id)
      const ended = await store.destroy(key, tombstoneUntil())
      loader.forget(id)
      id = ended && loader.successorOf(id, ended)
    }
  }

  function setCookie(session: Session): CookieChange {
    return { kind: 'set', id: session.id, permanentUntil: session.permanent ? expiryOf(session, policy) : undefined }
  }

  async function currentId(id: SessionId): Promise<SessionId | undefined> {
    return (await loader.reload(id))?.session.id
  }

  return { open, adopt, isRefreshDue, commit, currentId }
}

/** Without data it lives only by what is kept beside it, and not when the data has just been emptied: that is a logout. */
export function isEmpty({ data, jar = {} }: Session, before?: Session): boolean {
  if (hasMembers(data)) return false
  return !hasMembers(jar) || (before !== undefined && hasMembers(before.data))
}

function hasMembers(object: JsonObject): boolean {
  for (const name in object) if (Object.hasOwn(object, name)) return true
  return false
}
