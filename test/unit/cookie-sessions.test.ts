import { describe, expect, test } from 'vitest'
import { MutationRefusedError, SessionTooLargeError } from '../../src/errors.ts'
import type { RecordKey } from '../../src/session/codec.ts'
import { createCookieCodec } from '../../src/session/cookie-codec.ts'
import { createCookieSessions, type CookieSessionsOptions } from '../../src/session/cookie-sessions.ts'
import type { LifetimePolicy, TouchRule } from '../../src/session/lifetime.ts'
import { NO_MUTATION } from '../../src/session/mutation.ts'
import type { Committed, Opened } from '../../src/session/sessions.ts'
import type { EpochMs, JsonObject, SessionId } from '../../src/session/session.ts'
import { parseRevocations } from '../../src/session/revocations.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { mutationOf } from '../support/session-harness.ts'

const MINUTE = 60_000
const KEY: RecordKey = { id: 'c1', bytes: Buffer.alloc(32, 1) }

interface Options extends Partial<Omit<CookieSessionsOptions, 'policy'>> {
  readonly keys?: readonly RecordKey[]
  readonly policy?: Partial<LifetimePolicy>
}

/** One process, spoken to as the gateway does; `now` is the test's. */
function process({ keys = [KEY], policy, ...options }: Options = {}, state = { now: 1_700_000_000_000 }) {
  const seen = { ambiguous: 0, touchFailures: 0 }
  const sessions = createCookieSessions({
    codec: createCookieCodec(createKeyRing(keys), 'sid'), maxChars: 12_000, rotateOn: [], clock: () => state.now as EpochMs,
    policy: { idleMs: 30 * MINUTE, absoluteMs: 120 * MINUTE, permanent: false, refreshEachRequest: true, touchIntervalMs: MINUTE, ...policy },
    events: { ambiguousCookies: () => seen.ambiguous++, touchFailed: () => seen.touchFailures++ },
    ...options,
  })
  const open = (...cookies: string[]): Promise<Opened> => sessions.open(cookies)
  const commit = (opened: Opened, patch?: JsonObject, control?: string, touch: TouchRule = 'threshold'): Promise<Committed> =>
    sessions.commit(opened, patch || control !== undefined ? mutationOf(patch, control) : NO_MUTATION, { touch, check: () => {} })
  return {
    sessions, seen, state, open, commit,
    request: async (cookie: string | undefined, patch?: JsonObject, control?: string): Promise<Committed> => commit(await open(...(cookie === undefined ? [] : [cookie])), patch, control),
    dataOf: async (cookie: string): Promise<JsonObject | undefined> => (await open(cookie)).loaded?.session.data,
    /** A browser's cookie for new data. */
    cookieWith: async (data: JsonObject): Promise<string> => sealedIn(await commit(await open(), data)),
  }
}

function sealedIn({ cookie }: Committed): string {
  if (cookie.kind !== 'set' || cookie.sealed === undefined) throw new Error(`no session was given out: ${cookie.kind}`)
  return cookie.sealed
}

describe('a session that is nowhere but in its cookie', () => {
  test('is created by data alone, read, changed, and gone with its last member', async () => {
    const { request, dataOf, open } = process()
    expect(await request(undefined)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(await request(undefined, {})).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    const created = await request(undefined, { a: 1 })
    expect(created.outcome).toBe('created')
    const stored = await request(sealedIn(created), { b: 2 })
    expect([stored.outcome, await dataOf(sealedIn(stored))]).toEqual(['stored', { a: 1, b: 2 }])
    expect(await request(sealedIn(stored), { a: null, b: null })).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    expect(await open('garbage')).toMatchObject({ loaded: undefined, wasPresented: true })
  })

  test('has one handle for life, until it is rotated: by control, or by a change of what rotateOn names', async () => {
    const { open, request, cookieWith } = process({ rotateOn: [['user', 'id']] })
    const first = await cookieWith({ n: 1 })
    const handleOf = async (cookie: string): Promise<string | undefined> => (await open(cookie)).loaded?.session.handle
    const before = await handleOf(first)
    const changed = sealedIn(await request(first, { n: 2 }))
    expect(await handleOf(changed)).toBe(before)
    const rotated = await request(changed, undefined, 'rotate')
    expect([rotated.outcome, await handleOf(sealedIn(rotated)) === before]).toEqual(['rotated', false])
    const login = await request(sealedIn(rotated), { user: { id: 'ann' } })
    expect([login.outcome, await handleOf(sealedIn(login)) === await handleOf(sealedIn(rotated))]).toEqual(['rotated', false])
    expect(await handleOf(sealedIn(rotated))).toBeUndefined()
  })

  test('has a new version with each change and the same with each use', async () => {
    const { state, open, request, cookieWith } = process()
    const versionOf = async (cookie: string): Promise<string | undefined> => (await open(cookie)).loaded?.version
    const first = await cookieWith({ n: 1 })
    state.now += 2 * MINUTE
    const used = await request(first)
    expect([used.outcome, await versionOf(sealedIn(used))]).toEqual(['touched', await versionOf(first)])
    expect(await versionOf(sealedIn(await request(first, { n: 2 })))).not.toBe(await versionOf(first))
  })

  test('tells its lifetimes to the cookie only when it is permanent', async () => {
    const { state, request } = process()
    expect(await request(undefined, { a: 1 })).toMatchObject({ cookie: { permanentUntil: undefined } })
    expect(await request(undefined, { a: 1 }, 'permanent')).toMatchObject({ cookie: { permanentUntil: state.now + 30 * MINUTE } })
  })
})

describe('lifetimes stand in the text and are kept on read', () => {
  test('unused it ends after idle, to the millisecond; used it lives on, until absolute', async () => {
    const { state, cookieWith, dataOf, request } = process()
    let cookie = await cookieWith({ a: 1 })
    state.now += 30 * MINUTE - 1
    expect(await dataOf(cookie)).toEqual({ a: 1 })
    state.now += 1
    expect(await dataOf(cookie)).toBeUndefined()
    state.now -= MINUTE
    for (let used = 0; used < 3; used++) {
      cookie = sealedIn(await request(cookie))
      state.now += 28 * MINUTE
      expect(await dataOf(cookie)).toEqual({ a: 1 })
    }
    cookie = sealedIn(await request(cookie))
    state.now = 1_700_000_000_000 + 120 * MINUTE - 1
    expect(await dataOf(cookie)).toEqual({ a: 1 })
    state.now += 1
    expect(await dataOf(cookie)).toBeUndefined()
  })

  test('a use moves the expiry by the threshold, and as the route says', async () => {
    const { state, open, commit, request, cookieWith } = process()
    const cookie = await cookieWith({ a: 1 })
    state.now += MINUTE - 1
    expect(await request(cookie)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(await commit(await open(cookie), undefined, undefined, 'always')).toMatchObject({ outcome: 'touched' })
    state.now += 1
    expect(await commit(await open(cookie), undefined, undefined, 'never')).toMatchObject({ outcome: 'none' })
    expect(await request(cookie)).toMatchObject({ outcome: 'touched' })
    const still = process({ policy: { refreshEachRequest: false } }, state)
    expect(await still.request(cookie)).toMatchObject({ outcome: 'none' })
  })

  test('an app can make them shorter, and a shorter configuration holds at once', async () => {
    const { state, request, dataOf, cookieWith } = process()
    const short = sealedIn(await request(undefined, { a: 1 }, 'idle=60'))
    const long = await cookieWith({ a: 1 })
    state.now += MINUTE
    expect([await dataOf(short), await dataOf(long)]).toEqual([undefined, { a: 1 }])
    expect(await process({ policy: { idleMs: MINUTE } }, state).dataOf(long)).toBeUndefined()
  })

  test('a request that outlives its session neither revives nor changes it', async () => {
    const { state, open, commit, cookieWith } = process()
    const opened = await open(await cookieWith({ a: 1 }))
    state.now += 30 * MINUTE
    expect(await commit(opened)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(await commit(opened, { b: 1 })).toEqual({ cookie: { kind: 'keep' }, outcome: 'dropped' })
  })
})

describe('without compare-and-set', () => {
  test('of two requests that change at a time the later answer wins, and nothing is merged', async () => {
    const { open, commit, cookieWith, dataOf } = process()
    const cookie = await cookieWith({ n: 0 })
    const [one, two] = [await open(cookie), await open(cookie)]
    await commit(one, { one: 1 })
    expect(await dataOf(sealedIn(await commit(two, { two: 2 })))).toEqual({ n: 0, two: 2 })
  })

  test('if-version is held against the cookie that came', async () => {
    const { open, request, cookieWith } = process()
    const cookie = await cookieWith({ n: 0 })
    const version = (await open(cookie)).loaded?.version ?? ''
    const changed = sealedIn(await request(cookie, { n: 1 }, `if-version=${version}`))
    await expect(request(changed, { n: 2 }, `if-version=${version}`)).rejects.toThrow(MutationRefusedError)
    await expect(request(undefined, { n: 2 }, `if-version=${version}`)).rejects.toThrow(MutationRefusedError)
  })

  test('the use of a slow request does not undo a change made meanwhile, in the same process', async () => {
    const { state, open, commit, request, cookieWith } = process()
    const cookie = await cookieWith({ n: 0 })
    const slow = await open(cookie)
    const changed = sealedIn(await request(cookie, { n: 1 }))
    state.now += 5 * MINUTE
    expect(await commit(slow)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(await request(changed)).toMatchObject({ outcome: 'touched' })
    // A browser that never got the changed cookie goes on with what it has.
    expect(await request(cookie)).toMatchObject({ outcome: 'touched' })
  })

  test.each(['destroy', 'rotate'])('the late answer of a slow request does not undo a %s, in the same process', async (control) => {
    const { state, open, commit, request, cookieWith, dataOf } = process()
    const cookie = await cookieWith({ n: 0 })
    const [reading, writing] = [await open(cookie), await open(cookie)]
    await request(cookie, undefined, control)
    state.now += 5 * MINUTE
    expect(await commit(reading)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(await commit(writing, { n: 1 })).toEqual({ cookie: { kind: 'keep' }, outcome: 'dropped' })
    expect(await dataOf(cookie)).toBeUndefined()
  })

  test('another process knows nothing of a logout: a copied cookie opens there', async () => {
    const [here, there] = [process(), process()]
    const cookie = await here.cookieWith({ n: 0 })
    expect(await here.request(cookie, undefined, 'destroy')).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    expect([await here.dataOf(cookie), await there.dataOf(cookie)]).toEqual([undefined, { n: 0 }])
  })
})

describe('what does not open', () => {
  test('a cookie of nothing is cleared when the app logs out, and replaced by a new session', async () => {
    const { open, commit } = process()
    expect(await commit(await open('forged'), undefined, 'destroy')).toEqual({ cookie: { kind: 'clear' }, outcome: 'none' })
    expect(await commit(await open('forged'), { a: 1 })).toMatchObject({ outcome: 'created' })
    expect(await commit(await open(), undefined, 'destroy')).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
  })

  test('two sessions at a time are none; two states of one are the last used; a forged one beside a real one does not matter', async () => {
    const { state, open, request, cookieWith, seen } = process()
    const [one, other] = [await cookieWith({ n: 1 }), await cookieWith({ n: 2 })]
    expect(await open(one, other)).toMatchObject({ loaded: undefined, wasPresented: true })
    expect(seen.ambiguous).toBe(1)
    expect((await open('forged', one, one)).loaded?.session.data).toEqual({ n: 1 })
    state.now += 1
    const later = sealedIn(await request(one, { n: 3 }))
    for (const cookies of [[one, later], [later, one]]) expect((await open(...cookies)).loaded?.session.data).toEqual({ n: 3 })
  })

  test('too large for the cookies: refused, and the session stays as it was', async () => {
    const { request, dataOf, cookieWith } = process({ maxChars: 1_000 })
    const cookie = await cookieWith({ n: 1 })
    await expect(request(cookie, { text: 'x'.repeat(1_000) })).rejects.toThrow(SessionTooLargeError)
    await expect(request(undefined, { text: 'x'.repeat(1_000) })).rejects.toThrow(SessionTooLargeError)
    expect(await dataOf(cookie)).toEqual({ n: 1 })
  })
})

describe('keys', () => {
  const NEXT: RecordKey = { id: 'c2', bytes: Buffer.alloc(32, 2) }

  test('what an old key sealed opens and is sealed anew, with nothing else changed', async () => {
    const before = process()
    const cookie = await before.cookieWith({ n: 1 })
    const after = process({ keys: [NEXT, KEY] }, before.state)
    const resealed = await after.request(cookie)
    expect([resealed.outcome, sealedIn(resealed).slice(0, 3)]).toEqual(['none', 'c2.'])
    expect((await after.open(sealedIn(resealed))).loaded).toMatchObject({ session: (await after.open(cookie)).loaded?.session, version: (await after.open(cookie)).loaded?.version })
    expect(await after.request(sealedIn(resealed))).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
  })

  test('where the new key\'s name is too long for a full cookie, it stays under the old one', async () => {
    const before = process()
    const cookie = await before.cookieWith({ text: 'x'.repeat(1_000) })
    const after = process({ keys: [{ ...NEXT, id: 'a-much-longer-name' }, KEY], maxChars: cookie.length }, before.state)
    expect(await after.request(cookie)).toEqual({ cookie: { kind: 'keep' }, outcome: 'none' })
    expect(after.seen.touchFailures).toBe(1)
  })
})

const at = (ms: number): string => new Date(ms).toISOString()

describe('notBefore', () => {
  test('ends what began before it, whatever was done with it since, and nothing younger', async () => {
    const { state, cookieWith, request } = process()
    const old = await cookieWith({ n: 1 })
    state.now += 10 * MINUTE
    const used = sealedIn(await request(old, { user: 'ann' }, 'rotate'))
    const young = await cookieWith({ n: 2 })
    const after = process({ revocations: parseRevocations(at(state.now)) }, state)
    expect([await after.dataOf(old), await after.dataOf(used), await after.dataOf(young)]).toEqual([undefined, undefined, { n: 2 }])
  })

  test('in the future it ends nothing until it comes', async () => {
    const state = { now: 1_700_000_000_000 }
    const { cookieWith, dataOf } = process({ revocations: parseRevocations(at(state.now + 10 * MINUTE)) }, state)
    const cookie = await cookieWith({ n: 1 })
    expect(await dataOf(cookie)).toEqual({ n: 1 })
    state.now += 10 * MINUTE
    expect(await dataOf(cookie)).toBeUndefined()
    expect(await dataOf(await cookieWith({ n: 2 }))).toEqual({ n: 2 })
  })
})

describe('notBefore of one subject', () => {
  test('ends what it logged in before, though the session is used since, and neither later logins nor anybody else\'s', async () => {
    const subject = ['user']
    const { state, cookieWith, request } = process({ subject, rotateOn: [subject] })
    const [early, late, visitor, bob] = await Promise.all([cookieWith({ user: 'ann' }), cookieWith({ n: 1 }), cookieWith({ n: 1 }), cookieWith({ user: 'bob' })])
    state.now += MINUTE
    const used = sealedIn(await request(early, { more: 1 }))
    state.now += MINUTE
    const after = process({ subject, rotateOn: [subject], revocations: parseRevocations(`${at(state.now)} "ann"`) }, state)
    const login = sealedIn(await after.request(late, { user: 'ann' }))
    expect(await Promise.all([early, used, visitor, bob, login].map(after.dataOf))).toEqual([undefined, undefined, { n: 1 }, { user: 'bob' }, { n: 1, user: 'ann' }])
    // Whoever was somebody else when it was revoked, and becomes that user later.
    expect(await after.dataOf(sealedIn(await after.request(bob, { user: 'ann' })))).toEqual({ user: 'ann' })
  })
})

test('of a WebSocket\'s session it is known when its absolute lifetime ends, that it was revoked, and what ended here', async () => {
  const { state, sessions, open, request, cookieWith } = process()
  const cookie = await cookieWith({ n: 1 })
  const id = (await open(cookie)).loaded?.session.id as SessionId
  expect(await sessions.currentId(id)).toBe(id)
  expect(await process({ revocations: parseRevocations(at(state.now)) }, state).sessions.currentId(id)).toBe(id)
  expect(await process({ revocations: parseRevocations(at(state.now + 1)) }, { now: state.now + 1 }).sessions.currentId(id)).toBeUndefined()
  expect(await sessions.currentId('A'.repeat(43) as SessionId)).toBeUndefined()
  state.now += 120 * MINUTE
  expect(await sessions.currentId(id)).toBeUndefined()
  state.now -= 60 * MINUTE
  expect(await request((await cookieWith({ n: 2 })))).toBeDefined()
  const ended = await cookieWith({ n: 3 })
  const endedId = (await open(ended)).loaded?.session.id as SessionId
  await request(ended, undefined, 'destroy')
  expect(await sessions.currentId(endedId)).toBeUndefined()
})
