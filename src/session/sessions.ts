import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { StoreUnavailableError } from '../errors.ts';
import { MutationRefusedError, SessionConflictError } from '../errors.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'
import { handleOf, mintSessionId, sealSuccessor, storeKeyOf } from '../signing/ids.ts'
import type { SessionStore } from '../stores/store.ts'
import type { Codec } from './codec.ts'
import { expiryOf, isTouchDue, storeExpiryOf, touched, type LifetimePolicy, type TouchRule } from './lifetime.ts'
import { createLoader, type Loaded } from './loader.ts'
import { applyChange, type Change, type Mutation } from './mutation.ts'
import { isSameJson, valueAt, type DataPath } from './paths.ts'
import type { EpochMs, Session, SessionId } from './session.ts'
import { createTurns } from './turns.ts'

/** What a request's cookies opened. */
export interface Opened {
  readonly loaded: Loaded | undefined
  /** The client sent a cookie with our name, whatever it was worth. */
  readonly wasPresented: boolean
  /** The cookie was signed by a retired key and should be replaced. */
  readonly isKeyRetired: boolean
  /** Set when the store was away and the route went on without a session: nothing may be committed. */
  readonly unavailable: StoreUnavailableError | undefined
}

export type CookieChange =
  | { readonly kind: 'keep' }
  | { readonly kind: 'set'; readonly id: SessionId; readonly permanentUntil: EpochMs | undefined }
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
  /** Keys the public handle of new ids. */
  readonly handleSecret: string
  readonly policy: LifetimePolicy
  readonly rotateOn: readonly DataPath[]
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
   * Applies the mutation with compare-and-set; resolves when the store has said it is stored. Rejects with
   * StoreUnavailableError (unknown whether stored), SessionConflictError, MutationRefusedError or SessionTooLargeError.
   */
  commit(opened: Opened, mutation: Mutation, rules: CommitRules): Promise<Committed>
}

const MAX_COMMIT_ATTEMPTS = 40
const MAX_CANDIDATES = 8
const MAX_BACKOFF_MS = 25
const KEEP: CookieChange = { kind: 'keep' }
const UNCHANGED: Committed = { cookie: KEEP, outcome: 'none' }
/** The session ended while this request ran: its change is dropped, and the cookie, which may be a newer one's, is left alone. */
const DROPPED: Committed = { cookie: KEEP, outcome: 'dropped' }

export const NO_SESSION: Opened = { loaded: undefined, wasPresented: false, isKeyRetired: false, unavailable: undefined }

export function createSessions(options: SessionsOptions): Sessions {
  const { store, codec, cookies, policy, clock, events } = options
  const loader = createLoader(store, codec, policy, clock)
  const turns = createTurns()
  const encode = (key: string, session: Session): Uint8Array => codec.encode(key, { kind: 'live', session })
  const tombstoneUntil = (): EpochMs => (clock() + options.tombstoneMs) as EpochMs

  async function open(candidates: readonly string[]): Promise<Opened> {
    if (candidates.length === 0) return NO_SESSION
    const none = { ...NO_SESSION, wasPresented: true }
    if (candidates.length > MAX_CANDIDATES) return none
    const signed = new Map<SessionId, boolean>()
    for (const candidate of candidates) {
      const unsigned = cookies.unsign(candidate)
      if (unsigned) signed.set(unsigned.id, unsigned.isCurrentKey)
    }
    const found = (await Promise.all([...signed.keys()].map(loader.load))).filter((loaded) => loaded !== undefined)
    if (found.length > 1) events.ambiguousCookies()
    const [loaded] = found
    if (!loaded || found.length > 1) return none
    return { loaded, wasPresented: true, isKeyRetired: signed.get(loaded.session.id) === false, unavailable: undefined }
  }

  async function commit(opened: Opened, mutation: Mutation, rules: CommitRules): Promise<Committed> {
    if (mutation.kind === 'none') return touchIfDue(opened, rules.touch)
    if (opened.unavailable) throw opened.unavailable
    if (mutation.kind === 'destroy') return destroy(opened)
    const { loaded } = opened
    return loaded ? turns.take(loaded.key, () => change(opened, loaded, mutation, rules)) : create(mutation, rules)
  }

  async function touchIfDue({ loaded, isKeyRetired }: Opened, rule: TouchRule): Promise<Committed> {
    if (!loaded) return UNCHANGED
    const now = clock()
    const cookie = isKeyRetired ? setCookie(loaded.session) : KEEP
    if (!isTouchDue(loaded.session, policy, rule, now)) return { cookie, outcome: 'none' }
    const next = touched(loaded.session, now)
    try {
      await store.touch(loaded.key, storeExpiryOf(next))
    } catch (error) {
      events.touchFailed(error)
      return { cookie, outcome: 'none' }
    }
    loader.forget(loaded.key)
    return { cookie: next.permanent ? setCookie(next) : cookie, outcome: 'touched' }
  }

  async function create(change: Change, rules: CommitRules): Promise<Committed> {
    if (change.ifVersion !== undefined) throw new MutationRefusedError('version', 'there is no session, so no version to match')
    const now = clock()
    const id = mintSessionId()
    const blank: Session = {
      id, handle: handleOf(id, options.handleSecret), data: {}, createdAt: now, touchedAt: now,
      permanent: policy.permanent, idleMs: policy.idleMs, absoluteMs: policy.absoluteMs,
    }
    const session = applyChange(blank, change)
    if (isEmpty(session)) return UNCHANGED
    rules.check(session)
    const key = storeKeyOf(id)
    const written = await store.create(key, encode(key, session), storeExpiryOf(session))
    if (written.outcome !== 'stored') throw new SessionConflictError(1)
    return { cookie: setCookie(session), outcome: 'created' }
  }

  async function change(opened: Opened, first: Loaded, change: Change, rules: CommitRules): Promise<Committed> {
    let base = first
    let wasFollowed = false
    for (let attempt = 1; attempt <= MAX_COMMIT_ATTEMPTS; attempt++) {
      if (change.ifVersion !== undefined && change.ifVersion !== base.version) throw new MutationRefusedError('version', 'the record is at another version')
      const next = touched(applyChange(base.session, change), clock())
      if (!isEmpty(next)) rules.check(next)
      const committed = await write(base, next, { mayRotate: !wasFollowed, change, isKeyRetired: opened.isKeyRetired })
      if (committed) return committed

      events.conflict()
      if (attempt > 1) await sleep(Math.random() * Math.min(attempt * 2, MAX_BACKOFF_MS))
      const fresh = await loader.reload(first.session.id)
      if (!fresh) return DROPPED
      wasFollowed = fresh.followed
      base = fresh
    }
    throw new SessionConflictError(MAX_COMMIT_ATTEMPTS)
  }

  interface WriteRules {
    readonly mayRotate: boolean
    readonly change: Change
    readonly isKeyRetired: boolean
  }

  /** One compare-and-set. Undefined: another writer was first. */
  async function write(base: Loaded, next: Session, { mayRotate, change, isKeyRetired }: WriteRules): Promise<Committed | undefined> {
    const isOvertaken = !mayRotate
    if (isEmpty(next)) {
      if (!(await replace(base, codec.encode(base.key, { kind: 'gone' }), tombstoneUntil()))) return undefined
      return { cookie: isOvertaken ? KEEP : { kind: 'clear' }, outcome: 'destroyed' }
    }
    const isLogin = change.rotate || options.rotateOn.some((path) => !isSameJson(valueAt(base.session.data, path), valueAt(next.data, path)))
    if (isLogin && mayRotate) return rotate(base, next)
    if (!(await replace(base, encode(base.key, next), storeExpiryOf(next)))) return undefined
    // A request overtaken by a rotation may come from whoever fixed the old id: it never learns the new one.
    const isCookieDue = next.permanent || next.permanent !== base.session.permanent || isKeyRetired
    return { cookie: isCookieDue && !isOvertaken ? setCookie(next) : KEEP, outcome: 'stored' }
  }

  async function replace(base: Loaded, bytes: Uint8Array, expiresAt: EpochMs): Promise<boolean> {
    const written = await store.replace(base.key, base.version, bytes, expiresAt)
    loader.forget(base.key)
    return written.outcome === 'stored'
  }

  /** The successor is stored first and known to nobody; the old record then becomes a pointer to it in one step, or the successor goes. */
  async function rotate(base: Loaded, next: Session): Promise<Committed | undefined> {
    const id = mintSessionId()
    const session = { ...next, id, handle: handleOf(id, options.handleSecret) }
    const key = storeKeyOf(id)
    const written = await store.create(key, encode(key, session), storeExpiryOf(session))
    if (written.outcome !== 'stored') return undefined
    const pointer = codec.encode(base.key, { kind: 'moved', sealedSuccessor: sealSuccessor(base.session.id, id) })
    if (await replace(base, pointer, tombstoneUntil())) return { cookie: setCookie(session), outcome: 'rotated' }
    await store.destroy(key, clock())
    return undefined
  }

  async function destroy({ loaded, wasPresented }: Opened): Promise<Committed> {
    let id = loaded?.session.id
    while (id !== undefined) {
      const key = storeKeyOf(id)
      const ended = await store.destroy(key, tombstoneUntil())
      loader.forget(key)
      id = ended && loader.successorOf(id, ended)
    }
    return { cookie: wasPresented ? { kind: 'clear' } : KEEP, outcome: loaded ? 'destroyed' : 'none' }
  }

  function setCookie(session: Session): CookieChange {
    return { kind: 'set', id: session.id, permanentUntil: session.permanent ? expiryOf(session, policy) : undefined }
  }

  return { open, commit }
}

function isEmpty(session: Session): boolean {
  return Object.keys(session.data).length === 0
}
