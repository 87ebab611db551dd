import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { MutationRefusedError, SessionTooLargeError } from '../errors.ts'
import { createRecent } from '../recent.ts'
import { createSubjectReader } from '../signing/assertion.ts'
import { mintVersion } from '../stores/version.ts'
import { cookieIdOf, factsOfCookieId, type CookieCodec, type Unsealed } from './cookie-codec.ts'
import { expiryOf, isTouchDue, touched, type LifetimePolicy, type TouchRule } from './lifetime.ts'
import type { Loaded } from './loader.ts'
import { applyChange, type Change, type Mutation } from './mutation.ts'
import { isSameJson, valueAt, type DataPath } from './paths.ts'
import type { Revocations } from './revocations.ts'
import type { EpochMs, JsonObject, Session, SessionId, Version } from './session.ts'
import { isEmpty, NO_SESSION, type Committed, type CommitRules, type CookieChange, type Opened, type SessionEvents, type Sessions } from './sessions.ts'

export interface CookieSessionsOptions {
  readonly codec: CookieCodec
  /** What the browser's cookies hold, in characters of sealed text. */
  readonly maxChars: number
  readonly policy: LifetimePolicy
  /** Which sessions have ended. An instant in the future ends nothing until it comes. */
  readonly revocations?: Revocations | undefined
  readonly rotateOn: readonly DataPath[]
  /** Where the data says who the user is. */
  readonly subject?: DataPath | undefined
  readonly clock: Clock
  readonly events: Pick<SessionEvents, 'ambiguousCookies' | 'touchFailed'>
}

/** A session, and how many changes this process had made when its request came. */
interface Presented extends Loaded {
  readonly after: number
}

/** Sessions of which this process remembers what became of them, in each of two generations. */
const MAX_REMEMBERED = 10_000
const HANDLE_BYTES = 16
/** The session has ended, or moved to another handle: later than every write. */
const ENDED = Infinity
const NOTHING_OPENED: Opened = { ...NO_SESSION, wasPresented: true }
const UNCHANGED: Committed = { cookie: { kind: 'keep' }, outcome: 'none' }
const DROPPED: Committed = { cookie: { kind: 'keep' }, outcome: 'dropped' }

/**
 * Sessions that are nowhere but in their browser. Nothing is compared and set: of two requests that change a session at a time, the browser
 * keeps what the later answer says, and a copy of the cookie opens the session until a lifetime in it or a revocation ends it. What this
 * process itself has seen end, move or change it remembers for a while, so that the late answer of a slow request does not undo it. That is
 * a help, not a promise: other processes know nothing of it.
 */
export function createCookieSessions(options: CookieSessionsOptions): Sessions {
  const { codec, policy, clock, events, maxChars, revocations } = options
  const subjectOf = createSubjectReader(options.subject)
  /** By handle: which of this process's changes was its last. */
  const lastChange = createRecent<number>(MAX_REMEMBERED)
  let changes = 0

  function open(candidates: readonly string[]): Opened {
    if (candidates.length === 0) return NO_SESSION
    const found = liveIn(candidates)
    if (found.size > 1) events.ambiguousCookies()
    const [unsealed] = found.values()
    if (!unsealed || found.size > 1) return NOTHING_OPENED
    const { session, version, isCurrentKey } = unsealed
    // No store has it, so it has no key there.
    const presented: Presented = { key: '', session, version, after: changes }
    return { loaded: presented, wasPresented: true, isCookieDue: !isCurrentKey, unavailable: undefined }
  }

  /** The live sessions by handle; of several states of one the last used. */
  function liveIn(candidates: readonly string[]): ReadonlyMap<string, Unsealed> {
    const found = new Map<string, Unsealed>()
    for (const text of candidates) {
      const unsealed = codec.open(text)
      if (!unsealed || !isLive(unsealed.session)) continue
      const known = found.get(unsealed.session.handle)
      if (!known || known.session.touchedAt < unsealed.session.touchedAt) found.set(unsealed.session.handle, unsealed)
    }
    return found
  }

  function isLive(session: Session): boolean {
    return expiryOf(session, policy) > clock() && !isOver(session) && !isRevokedBySubject(session)
  }

  /** As far as can be known without the data. */
  function isOver({ handle, createdAt }: Pick<Session, 'handle' | 'createdAt'>): boolean {
    return lastChange.get(handle) === ENDED || isBefore(createdAt, revocations?.everybody)
  }

  function isRevokedBySubject({ data, epoch, createdAt }: Session): boolean {
    if (!revocations || revocations.bySubject.size === 0) return false
    const subject = subjectOf(data)
    return subject !== undefined && isBefore(epoch ?? createdAt, revocations.bySubject.get(subject))
  }

  function isBefore(began: number, instant: EpochMs | undefined): boolean {
    return instant !== undefined && began < instant && instant <= clock()
  }

  function commit(opened: Opened, mutation: Mutation, rules: CommitRules): Committed {
    if (mutation.kind === 'none') return refresh(opened, rules.touch)
    if (opened.unavailable) throw opened.unavailable
    if (mutation.kind === 'destroy') return destroy(opened)
    return change(opened.loaded, mutation, rules)
  }

  /** Slides the idle lifetime and replaces what a retired key has sealed. Never over a change that this process knows of. */
  function refresh({ loaded, isCookieDue }: Opened, rule: TouchRule): Committed {
    if (!loaded) return UNCHANGED
    const { session, version, after } = loaded as Presented
    const isTouched = isTouchDue(session, policy, rule, clock())
    const isOvertaken = (lastChange.get(session.handle) ?? 0) > after
    if (!(isTouched || isCookieDue) || isOvertaken || !isLive(session)) return UNCHANGED
    try {
      return { cookie: cookieOf(isTouched ? touched(session, clock()) : session, version), outcome: isTouched ? 'touched' : 'none' }
    } catch (error) {
      // It filled the cookies to the brim, and the new key's id is longer.
      events.touchFailed(error)
      return UNCHANGED
    }
  }

  function change(loaded: Loaded | undefined, change: Change, rules: CommitRules): Committed {
    const before = loaded?.session
    if (change.ifVersion !== undefined && change.ifVersion !== loaded?.version) throw new MutationRefusedError('version', 'the cookie held another version, or none')
    if (before && !isLive(before)) return DROPPED
    const next = loggedIn(before?.data, applyChange(before ?? blank(), change, options.subject, clock()))
    if (isEmpty(next, before)) return before ? end(before) : UNCHANGED
    rules.check(next)
    const isRotated = before !== undefined && (change.rotate || isLogin(before, next))
    const session = isRotated ? renamed(next) : next
    const cookie = cookieOf(session, mintVersion())
    lastChange.set(session.handle, ++changes, 1)
    if (isRotated) lastChange.set(before.handle, ENDED, 1)
    return { cookie, outcome: isRotated ? 'rotated' : before ? 'stored' : 'created' }
  }

  function isLogin(before: Session, next: Session): boolean {
    return options.rotateOn.some((path) => !isSameJson(valueAt(before.data, path), valueAt(next.data, path)))
  }

  /** Its epoch is when its subject logged in, so that a revocation from before that does not end it. */
  function loggedIn(before: JsonObject | undefined, next: Session): Session {
    const subject = subjectOf(next.data)
    return subject === (before && subjectOf(before)) ? next : { ...next, epoch: clock() }
  }

  /** Throws SessionTooLargeError. */
  function cookieOf(session: Session, version: Version): CookieChange {
    const sealed = codec.seal(session, version)
    if (sealed.length > maxChars) throw new SessionTooLargeError(sealed.length, maxChars, 'the session, sealed into cookies,')
    return { kind: 'set', id: session.id, sealed, permanentUntil: session.permanent ? expiryOf(session, policy) : undefined }
  }

  function destroy({ loaded, wasPresented }: Opened): Committed {
    if (loaded) return end(loaded.session)
    return wasPresented ? { cookie: { kind: 'clear' }, outcome: 'none' } : UNCHANGED
  }

  function end({ handle }: Session): Committed {
    lastChange.set(handle, ENDED, 1)
    return { cookie: { kind: 'clear' }, outcome: 'destroyed' }
  }

  function blank(): Session {
    const now = clock()
    return renamed({
      id: '' as SessionId, handle: '', data: {}, createdAt: now, touchedAt: now,
      permanent: policy.permanent, idleMs: policy.idleMs, absoluteMs: policy.absoluteMs,
    })
  }

  /** The id of one that has not ended, as far as can be known without its cookie. */
  function currentId(id: SessionId): SessionId | undefined {
    const facts = factsOfCookieId(id)
    return !facts || isOver(facts) || facts.createdAt + policy.absoluteMs <= clock() ? undefined : id
  }

  return {
    open: (candidates) => Promise.resolve(open(candidates)),
    isRefreshDue: ({ loaded }) => loaded !== undefined,
    commit: (opened, mutation, rules) => new Promise((resolve) => { resolve(commit(opened, mutation, rules)) }),
    currentId: (id) => Promise.resolve(currentId(id)),
    // Nothing remembers that an app's own session was taken over once, so none is: it could be brought again and again.
    adopt: () => Promise.resolve(NOTHING_OPENED),
  }
}

function renamed(session: Session): Session {
  const handle = randomBytes(HANDLE_BYTES).toString('base64url')
  return { ...session, handle, id: cookieIdOf({ ...session, handle }) }
}
