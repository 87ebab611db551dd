import { sessionOf, type EpochMs, type Session } from './session.ts'

/** What the operator configured. All in ms. */
export interface LifetimePolicy {
  readonly idleMs: number
  readonly absoluteMs: number
  readonly permanent: boolean
  /** Whether a read slides the idle lifetime. */
  readonly refreshEachRequest: boolean
  readonly touchIntervalMs: number
}

export type TouchRule = 'always' | 'threshold' | 'never'

/**
 * The instant from which the session is dead unless it is touched again.
 *
 * Idle time slides with use; absolute time never does (OWASP Session Management Cheat Sheet, "Session Expiration"). The
 * configured lifetimes cap the recorded ones, so a shorter configuration applies at once to what is already stored.
 */
export function expiryOf(session: Session, policy: LifetimePolicy): EpochMs {
  return expiryFrom(session.touchedAt, session, policy)
}

/** expiryOf the session, were it touched at that instant. */
function expiryFrom(touchedAt: EpochMs, session: Session, policy: LifetimePolicy): EpochMs {
  const idleMs = Math.min(session.idleMs, policy.idleMs)
  return Math.min(touchedAt + idleMs, absoluteEndOf(session, policy)) as EpochMs
}

/**
 * The instant the store is told. Uses the recorded lifetimes alone, so that `touchedAt` can be derived from it again, whatever
 * the configuration has become since.
 */
export function storeExpiryOf(session: Session): EpochMs {
  return Math.min(session.touchedAt + session.idleMs, session.createdAt + session.absoluteMs) as EpochMs
}

/** The last use the store knows of: the reverse of storeExpiryOf. Earlier than the truth when absolute time cut it short. */
export function touchedAtOf(storedExpiry: EpochMs, idleMs: number): EpochMs {
  return (storedExpiry - idleMs) as EpochMs
}

/** The instant after which no use can keep the session alive. */
export function absoluteEndOf(session: Session, policy: LifetimePolicy): EpochMs {
  return (session.createdAt + Math.min(session.absoluteMs, policy.absoluteMs)) as EpochMs
}

/** The session as used at `now`. */
export function touched(session: Session, now: EpochMs): Session {
  return sessionOf(session.id, now, session)
}

/** Whether a request that changed nothing should move the expiry: never backwards, and not for less than the interval. */
export function isTouchDue(session: Session, policy: LifetimePolicy, rule: TouchRule, now: EpochMs): boolean {
  if (rule === 'never' || !policy.refreshEachRequest) return false
  const gainMs = expiryFrom(now, session, policy) - expiryOf(session, policy)
  return gainMs > 0 && (rule === 'always' || gainMs >= touchIntervalOf(session, policy))
}

/** Never more than a quarter of the idle lifetime, or an active visitor could be logged out between two touches. */
function touchIntervalOf(session: Session, policy: LifetimePolicy): number {
  return Math.min(policy.touchIntervalMs, Math.min(session.idleMs, policy.idleMs) / 4)
}
