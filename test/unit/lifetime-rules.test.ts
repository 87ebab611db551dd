import { describe, expect, test } from 'vitest'
import { absoluteEndOf, expiryOf, isTouchDue, storeExpiryOf, touched, touchedAtOf, type LifetimePolicy, type TouchRule } from '../../src/session/lifetime.ts'
import type { EpochMs, Session, SessionId } from '../../src/session/session.ts'

const MINUTE = 60_000
const at = (minutes: number): EpochMs => (1_700_000_000_000 + minutes * MINUTE) as EpochMs
const POLICY: LifetimePolicy = { idleMs: 30 * MINUTE, absoluteMs: 120 * MINUTE, permanent: false, refreshEachRequest: true, touchIntervalMs: MINUTE }
const session = (changes: Partial<Session> = {}): Session => ({
  id: 'x' as SessionId, handle: 'h', data: { a: 1 }, createdAt: at(0), touchedAt: at(0), permanent: false, idleMs: 30 * MINUTE, absoluteMs: 120 * MINUTE, ...changes,
})

describe('the instant a session ends', () => {
  const rows: [what: string, session: Session, policy: Partial<LifetimePolicy>, ends: number][] = [
    ['idle', session(), {}, 30],
    ['idle slides with use', session({ touchedAt: at(50) }), {}, 80],
    ['absolute never slides', session({ touchedAt: at(110) }), {}, 120],
    ['a shorter idle in the configuration applies at once', session({ touchedAt: at(50) }), { idleMs: 5 * MINUTE }, 55],
    ['a longer one does not', session({ touchedAt: at(50) }), { idleMs: 90 * MINUTE }, 80],
    ['a shorter absolute applies at once', session({ touchedAt: at(50) }), { absoluteMs: 60 * MINUTE }, 60],
    ['a longer absolute does not', session({ touchedAt: at(110) }), { absoluteMs: 900 * MINUTE }, 120],
    ['lifetimes the upstream shortened hold', session({ idleMs: 2 * MINUTE, absoluteMs: 10 * MINUTE, touchedAt: at(9) }), {}, 10],
  ]
  test.each(rows)('%s', (_what, one, policy, ends) => expect(expiryOf(one, { ...POLICY, ...policy })).toBe(at(ends)))
})

test('the store is told of the recorded lifetimes, and the last use can be told from it', () => {
  for (const minutes of [0, 1, 29, 60, 90]) {
    const used = session({ touchedAt: at(minutes) })
    expect(touchedAtOf(storeExpiryOf(used), used.idleMs)).toBe(at(minutes))
  }
  const cut = session({ touchedAt: at(110) })
  expect(touchedAtOf(storeExpiryOf(cut), cut.idleMs)).toBe(at(90))
  expect(expiryOf({ ...cut, touchedAt: at(90) }, POLICY)).toBe(absoluteEndOf(cut, POLICY))
})

describe('whether a read moves the expiry', () => {
  const rows: [what: string, rule: TouchRule, minutesLater: number, policy: Partial<LifetimePolicy>, due: boolean][] = [
    ['threshold, before the interval', 'threshold', 0.9, {}, false],
    ['threshold, at the interval', 'threshold', 1, {}, true],
    ['always', 'always', 0.001, {}, true],
    ['always, at the same instant', 'always', 0, {}, false],
    ['never', 'never', 20, {}, false],
    ['refreshEachRequest off', 'always', 20, { refreshEachRequest: false }, false],
    ['an interval longer than a quarter of idle is a quarter', 'threshold', 7.5, { touchIntervalMs: 60 * MINUTE }, true],
    ['just before the quarter', 'threshold', 7.4, { touchIntervalMs: 60 * MINUTE }, false],
    ['a clock that went back', 'always', -5, {}, false],
  ]
  test.each(rows)('%s', (_what, rule, later, policy, due) => expect(isTouchDue(session(), { ...POLICY, ...policy }, rule, at(later))).toBe(due))

  test('what the absolute end caps is not worth a write', () => {
    const old = session({ touchedAt: at(100) })
    expect(isTouchDue(old, POLICY, 'always', at(119))).toBe(false)
    expect(isTouchDue(session({ touchedAt: at(89) }), POLICY, 'threshold', at(89.5))).toBe(false)
    expect(isTouchDue(session({ touchedAt: at(88) }), POLICY, 'threshold', at(95))).toBe(true)
  })

  test('a visitor who comes once per quarter of idle is never logged out before the absolute end', () => {
    const policy = { ...POLICY, touchIntervalMs: 60 * MINUTE }
    let current = session()
    for (let minute = 7.4; minute < 120; minute += 7.4) {
      expect(expiryOf(current, policy)).toBeGreaterThan(at(minute))
      if (isTouchDue(current, policy, 'threshold', at(minute))) current = touched(current, at(minute))
    }
  })
})
