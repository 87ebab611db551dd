import { describe, expect, test, vi } from 'vitest'
import { SessionConflictError, StoreUnavailableError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/session/session.ts'
import { NO_SESSION, type Committed } from '../../src/session/sessions.ts'
import { StoreRefusal } from '../../src/stores/refusal.ts'
import { harness, MINUTE, type Harness } from '../support/session-harness.ts'

const KEPT = { kind: 'keep' }
const away = (): StoreUnavailableError => new StoreUnavailableError('memory', 'replace', new Error('away'))

async function started(data: JsonObject = { base: 0 }, options: Parameters<typeof harness>[0] = {}, control?: string): Promise<Harness & { readonly cookie: string }> {
  const world = harness(options)
  const cookie = world.cookieOf(await world.request(undefined, data, control))
  return Object.assign(world, { cookie })
}

/** How many live records the store holds under keys this test saw. */
async function liveCount(world: Harness, cookies: readonly string[]): Promise<number> {
  const open = await Promise.all(cookies.map((cookie) => world.dataOf(cookie)))
  return open.filter((data) => data !== undefined).length
}

describe('patches of one session', () => {
  test('opened at the same version, in any order, of different members: all survive', async () => {
    const world = await started()
    const opened = await Promise.all(Array.from({ length: 64 }, () => world.open(world.cookie)))
    await Promise.all(opened.map((one, i) => world.commit(one, { [`m${i}`]: i })))
    expect(Object.keys(await world.dataOf(world.cookie) ?? {})).toHaveLength(65)
  })

  test('waiting in this process they meet no conflict and cost one write each', async () => {
    const world = await started()
    const opened = await Promise.all(Array.from({ length: 20 }, () => world.open(world.cookie)))
    world.store.forgetCalls()
    await Promise.all(opened.map((one, i) => world.commit(one, { [`m${i}`]: i })))
    expect(world.store.calls).toEqual(Array(20).fill('replace'))
    expect(world.conflicts).toBe(0)
  })

  test('of two gateways: the later is applied to what the earlier left', async () => {
    const one = await started()
    const second = harness({ store: one.store })
    const opened = await second.open(one.cookie)
    await one.request(one.cookie, { list: [1], a: 1 })
    const committed = await second.commit(opened, { b: 2, base: null })
    expect(committed).toEqual({ cookie: KEPT, outcome: 'stored' })
    expect(await one.dataOf(one.cookie)).toEqual({ list: [1], a: 1, b: 2 })
    expect(second.conflicts).toBe(1)
  })

  test('if-version holds against a writer in this process and one in another', async () => {
    const world = await started({ count: 0 })
    const [a, b] = [await world.open(world.cookie), await world.open(world.cookie)]
    const version = a.loaded?.version
    const results = await Promise.allSettled([world.commit(a, { count: 1 }, `if-version="${version}"`), world.commit(b, { count: 10 }, `if-version="${version}"`)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(await world.dataOf(world.cookie)).toEqual({ count: 1 })

    const elsewhere = harness({ store: world.store })
    const opened = await elsewhere.open(world.cookie)
    await world.request(world.cookie, { count: 2 })
    await expect(elsewhere.commit(opened, { count: 20 }, `if-version="${opened.loaded?.version}"`)).rejects.toMatchObject({ reason: 'version' })
    expect(await world.dataOf(world.cookie)).toEqual({ count: 2 })
  })

  test('a refused state is refused whole, and does not stop who waits behind it', async () => {
    const check = (next: { data: JsonObject }): void => { if ('bad' in next.data) throw new Error('too large') }
    const world = await started({ base: 0 }, { check })
    const opened = await Promise.all([world.open(world.cookie), world.open(world.cookie)])
    const results = await Promise.allSettled([world.commit(opened[0], { bad: 1, x: 1 }), world.commit(opened[1], { y: 1 })])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await world.dataOf(world.cookie)).toEqual({ base: 0, y: 1 })
  })

  test('gives up after a bounded number of lost races', async () => {
    const world = await started()
    const opened = await world.open(world.cookie)
    const inner = world.store.inner
    const replace = inner.replace.bind(inner)
    let attempts = 0
    inner.replace = async (key, expected, bytes, expiresAt) => {
      attempts++
      const record = await inner.load(key)
      if (record) await replace(key, record.version, record.bytes, record.expiresAt)       // another writer is always first
      return replace(key, expected, bytes, expiresAt)
    }
    await expect(world.commit(opened, { a: 1 })).rejects.toThrow(SessionConflictError)
    expect(attempts).toBe(40)
    expect(await world.dataOf(world.cookie)).toEqual({ base: 0 })
  })
})

describe('a logout', () => {
  const late: [what: string, patch: JsonObject | undefined, control: string | undefined][] = [
    ['a patch', { a: 1 }, undefined], ['a rotation', undefined, 'rotate'], ['a login', { user: 'ann' }, 'rotate'], ['replace', { all: 1 }, 'replace'],
    ['clear', { a: 1 }, 'clear'], ['a lifetime', undefined, 'permanent'], ['another logout', undefined, 'destroy'],
  ]
  test.each(late)('during a slow request that then commits %s stays a logout', async (_what, patch, control) => {
    const world = await started()
    const slow = await world.open(world.cookie)
    expect(await world.request(world.cookie, undefined, 'destroy')).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    const { cookie, outcome } = await world.commit(slow, patch, control)
    expect(cookie.kind).not.toBe('set')
    expect(outcome).toBe(control === 'destroy' ? 'destroyed' : 'dropped')
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('between another commit\'s read and its write wins', async () => {
    const world = await started()
    const gate = world.store.hold('replace')
    const committing = world.request(world.cookie, { a: 1 })
    await gate.reached
    await world.request(world.cookie, undefined, 'destroy')
    gate.open()
    expect(await committing).toEqual({ cookie: KEPT, outcome: 'dropped' })
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('of the old id follows a rotation that was first', async () => {
    const world = await started()
    const logout = await world.open(world.cookie)
    const successor = world.cookieOf(await world.request(world.cookie, { a: 1 }, 'rotate'))
    expect(await world.commit(logout, undefined, 'destroy')).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    expect(await liveCount(world, [world.cookie, successor])).toBe(0)
  })

  test.each(['create', 'replace'] as const)('while a rotation stands before its %s leaves no live session', async (method) => {
    const world = await started()
    const rotating = await world.open(world.cookie)
    const gate = world.store.hold(method)
    const rotation = world.commit(rotating, undefined, 'rotate')
    await gate.reached
    await world.request(world.cookie, undefined, 'destroy')
    gate.open()
    expect(await rotation).toEqual({ cookie: KEPT, outcome: 'dropped' })
    expect(await world.dataOf(world.cookie)).toBeUndefined()
    expect(await world.store.liveRecords()).toBe(0)
  })

  test('follows every rotation of a chain', async () => {
    const world = await started()
    const logout = await world.open(world.cookie)
    const cookies = [world.cookie]
    for (let i = 0; i < 12; i++) cookies.push(world.cookieOf(await world.request(cookies.at(-1), undefined, 'rotate')))
    await world.commit(logout, undefined, 'destroy')
    expect(await liveCount(world, cookies)).toBe(0)
  })
})

describe('a rotation', () => {
  test('keeps the data, kills the old id at once, and gives the new one to this answer alone', async () => {
    const world = await started({ user: 'ann', n: 1 })
    const before = (await world.open(world.cookie)).loaded?.session
    const committed = await world.request(world.cookie, { n: 2 }, 'rotate')
    const successor = world.cookieOf(committed)
    expect(committed.outcome).toBe('rotated')
    expect(await world.dataOf(world.cookie)).toBeUndefined()
    const after = (await world.open(successor)).loaded?.session
    expect(after).toMatchObject({ data: { user: 'ann', n: 2 }, createdAt: before?.createdAt })
    expect(after?.handle).not.toBe(before?.handle)
  })

  test('applies what was in flight to the successor, and tells it nothing of the new id', async () => {
    const world = await started({ a: 0 }, { policy: { permanent: true } })
    const [early, late] = [await world.open(world.cookie), await world.open(world.cookie)]
    const successor = world.cookieOf(await world.request(world.cookie, undefined, 'rotate'))
    expect(await world.commit(early, { early: 1 })).toEqual({ cookie: KEPT, outcome: 'stored' })
    expect(await world.commit(late, { late: 1 }, 'transient')).toEqual({ cookie: KEPT, outcome: 'stored' })
    expect(await world.dataOf(successor)).toMatchObject({ early: 1, late: 1 })
  })

  test('in parallel: one new id, no fork, every patch kept', async () => {
    const world = await started()
    const opened = await Promise.all(Array.from({ length: 25 }, () => world.open(world.cookie)))
    const results = await Promise.all(opened.map((one, i) => world.commit(one, { [`r${i}`]: i }, 'rotate')))
    const given = results.filter(({ cookie }) => cookie.kind === 'set')
    expect(given).toHaveLength(1)
    expect(Object.keys(await world.dataOf(world.cookieOf(given[0] as Committed)) ?? {})).toHaveLength(26)
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('in parallel on two gateways: one new id, no fork, no record left over', async () => {
    const one = await started()
    const other = harness({ store: one.store })
    const opened = await Promise.all([one, other, one, other].map(async (gateway) => ({ gateway, opened: await gateway.open(one.cookie) })))
    const results = await Promise.all(opened.map(({ gateway, opened: at }, i) => gateway.commit(at, { [`r${i}`]: i }, 'rotate')))
    const given = results.filter(({ cookie }) => cookie.kind === 'set')
    expect(given).toHaveLength(1)
    expect(await one.dataOf(one.cookieOf(given[0] as Committed))).toEqual({ base: 0, r0: 0, r1: 1, r2: 2, r3: 3 })
    expect(await one.store.liveRecords()).toBe(2)      // the successor and the pointer
  })

  test('overtaken between its two writes by a patch of another gateway is done again on the fresh record', async () => {
    const world = await started()
    const other = harness({ store: world.store.inner })
    const gate = world.store.hold('replace')
    const rotation = world.request(world.cookie, { r: 1 }, 'rotate')
    await gate.reached
    await other.request(world.cookie, { other: 1 })
    gate.open()
    expect(await world.dataOf(world.cookieOf(await rotation))).toEqual({ base: 0, r: 1, other: 1 })
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('a request that outlives forty rotations still finds the session', async () => {
    const world = await started()
    const slow = await world.open(world.cookie)
    let cookie = world.cookie
    for (let i = 0; i < 40; i++) cookie = world.cookieOf(await world.request(cookie, undefined, 'rotate'))
    expect((await world.commit(slow, { slow: 1 })).outcome).toBe('stored')
    expect(await world.dataOf(cookie)).toEqual({ base: 0, slow: 1 })
  })

  test('of an emptied or never stored session has nothing to rotate', async () => {
    const world = await started()
    expect((await world.request(undefined, undefined, 'rotate')).outcome).toBe('none')
    expect(await world.request(world.cookie, { base: null }, 'rotate')).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
  })
})

describe('rotateOn', () => {
  const rotateOn = [['user', 'id'], ['roles']]
  const rows: [what: string, data: JsonObject, patch: JsonObject, rotates: boolean][] = [
    ['a login', { cart: 1 }, { user: { id: 'ann' } }, true],
    ['a login as the same user', { user: { id: 'ann' } }, { user: { id: 'ann' } }, false],
    ['another user', { user: { id: 'ann' } }, { user: { id: 'bob' } }, true],
    ['a user taken away', { user: { id: 'ann' }, x: 1 }, { user: null }, true],
    ['more of the same user', { user: { id: 'ann' } }, { user: { name: 'Ann' } }, false],
    ['roles in another order', { roles: ['a', 'b'] }, { roles: ['b', 'a'] }, true],
    ['roles spelt the same', { roles: [{ a: 1, b: 2 }] }, { roles: [{ b: 2, a: 1 }] }, false],
    ['something else', { roles: [] }, { cart: 1 }, false],
  ]
  test.each(rows)('%s', async (_what, data, patch, rotates) => {
    const world = await started(data, { rotateOn })
    expect((await world.request(world.cookie, patch)).outcome).toBe(rotates ? 'rotated' : 'stored')
  })

  test('a login that another rotation overtook is refused: it would stand under an id somebody else knows', async () => {
    const world = await started({ cart: 1 }, { rotateOn })
    const login = await world.open(world.cookie)
    const attacker = world.cookieOf(await world.request(world.cookie, undefined, 'rotate'))
    await expect(world.commit(login, { user: { id: 'victim' } }, 'rotate')).rejects.toThrow(SessionConflictError)
    expect(await world.dataOf(attacker)).toEqual({ cart: 1 })
  })

  test('a slow login of whoever fixed the id does not take over the session of who logged in meanwhile', async () => {
    const world = await started({ cart: 1 }, { rotateOn })
    const attack = await world.open(world.cookie)
    const victim = world.cookieOf(await world.request(world.cookie, { user: { id: 'victim' } }))
    await expect(world.commit(attack, { user: { id: 'mallory' } })).rejects.toThrow(SessionConflictError)
    expect(await world.dataOf(victim)).toEqual({ cart: 1, user: { id: 'victim' } })
  })

  test('the same login sent twice is one login', async () => {
    const world = await started({ cart: 1 }, { rotateOn })
    const [one, other] = [await world.open(world.cookie), await world.open(world.cookie)]
    const results = await Promise.all([world.commit(one, { user: { id: 'ann' } }), world.commit(other, { user: { id: 'ann' } })])
    expect(results.map(({ outcome }) => outcome)).toEqual(['rotated', 'stored'])
  })
})

describe('a slow read', () => {
  test('does not bring an old cookie back after a rotation', async () => {
    const world = await started({ a: 1 }, { policy: { permanent: true } })
    world.now += 5 * MINUTE
    const slow = await world.open(world.cookie)
    const successor = world.cookieOf(await world.request(world.cookie, undefined, 'rotate'))
    expect(await world.commit(slow)).toEqual({ cookie: KEPT, outcome: 'none' })
    expect(await world.dataOf(successor)).toEqual({ a: 1 })
  })

  test('does not bring a cookie back after a logout', async () => {
    const world = await started({ a: 1 }, { policy: { permanent: true } })
    world.now += 5 * MINUTE
    const slow = await world.open(world.cookie)
    await world.request(world.cookie, undefined, 'destroy')
    expect(await world.commit(slow)).toEqual({ cookie: KEPT, outcome: 'none' })
  })

  test('with a cookie of a retired key neither', async () => {
    const [c1, c2] = [{ id: 'c1', secret: 'first-cookie-a1b2c3d4e5f60718293a4b5c6d7e8f' }, { id: 'c2', secret: 'other-cookie-f0e1d2c3b4a5968778695a4b3c2d1e' }]
    const before = await started({ a: 1 }, { keys: [c1] })
    const after = harness({ store: before.store.inner, keys: [c2, c1] })
    const slow = await after.open(before.cookie)
    expect(slow.loaded).toBeDefined()
    const successor = after.cookieOf(await after.request(before.cookie, undefined, 'rotate'))
    expect(await after.commit(slow)).toEqual({ cookie: KEPT, outcome: 'none' })
    expect(await after.dataOf(successor)).toEqual({ a: 1 })
  })

  test('slides by the lifetime that holds by then, not by the one it saw', async () => {
    const world = await started({ a: 1 })
    world.now += 5 * MINUTE
    const slow = await world.open(world.cookie)
    await world.request(world.cookie, undefined, 'idle=60')
    world.now += 16_000
    await world.commit(slow)
    world.now += 61_000
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('of many that come together one moves the expiry', async () => {
    const world = await started({ a: 1 }, { policy: { permanent: true } })
    world.now += 5 * MINUTE
    const opened = await Promise.all(Array.from({ length: 6 }, () => world.open(world.cookie)))
    const outcomes: string[] = []
    for (const one of opened) outcomes.push((await world.commit(one)).outcome)
    expect(outcomes).toEqual(['touched', ...Array<string>(5).fill('none')])
  })

  test('keeps its answer when the store fails to move the expiry', async () => {
    const world = await started()
    world.now += 5 * MINUTE
    world.store.fail('touch', away())
    expect(await world.request(world.cookie)).toEqual({ cookie: KEPT, outcome: 'none' })
    expect(world.touchFailures).toBe(1)
  })
})

describe('an emptied session', () => {
  test('ends: record gone, cookie cleared, late patches dropped', async () => {
    const world = await started({ a: 1 })
    const late = await world.open(world.cookie)
    expect(await world.request(world.cookie, { a: null })).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    expect((await world.commit(late, { b: 1 })).outcome).toBe('dropped')
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('that reached a rotated session only half way drops no change of what lives on', async () => {
    const world = await started({ count: 0 })
    const elsewhere = harness({ store: world.store })
    const [ending, writing] = [await world.open(world.cookie), await elsewhere.open(world.cookie)]
    const renewed = world.cookieOf(await elsewhere.request(world.cookie, undefined, 'rotate'))
    const [, successor] = world.store.createdKeys
    const inner = world.store.inner
    const { replace, destroy } = inner
    inner.replace = (key, ...rest) => key === successor ? Promise.reject(away()) : replace(key, ...rest)
    inner.destroy = (key, ...rest) => key === successor ? Promise.reject(away()) : destroy(key, ...rest)
    await expect(world.commit(ending, undefined, 'destroy')).rejects.toBeInstanceOf(StoreUnavailableError)
    Object.assign(inner, { replace, destroy })

    expect((await elsewhere.commit(writing, { count: 1 })).outcome).toBe('stored')
    expect(await world.dataOf(renewed)).toEqual({ count: 1 })
    await world.request(renewed, undefined, 'destroy')
    expect(await world.store.liveRecords()).toBe(1)                  // the pointer, to the end
    expect(await liveCount(world, [world.cookie, renewed])).toBe(0)
  })

  test('wins against writers that are always first', async () => {
    const world = await started({ count: 0 })
    const inner = world.store.inner
    const { replace } = inner
    inner.replace = async (key, expected, ...rest) => {
      const { outcome } = await replace(key, expected, ...rest)
      return { outcome: outcome === 'missing' ? 'missing' : 'conflict' }
    }
    expect((await world.commit(await world.open(world.cookie), undefined, 'destroy')).outcome).toBe('destroyed')
    inner.replace = replace
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('works on a store that is full: it takes no write but lets go', async () => {
    const world = await started({ count: 0 })
    const opened = await world.open(world.cookie)
    world.store.fail('replace', new StoreUnavailableError('memory', 'replace', new StoreRefusal('out of memory')))
    expect((await world.commit(opened, undefined, 'destroy')).outcome).toBe('destroyed')
    expect(await world.dataOf(world.cookie)).toBeUndefined()
  })

  test('emptied by a request overtaken by a rotation ends too; the browser\'s newer cookie is left alone', async () => {
    const world = await started({ a: 1 })
    const late = await world.open(world.cookie)
    const successor = world.cookieOf(await world.request(world.cookie, undefined, 'rotate'))
    expect(await world.commit(late, { a: null })).toEqual({ cookie: KEPT, outcome: 'destroyed' })
    expect(await world.dataOf(successor)).toBeUndefined()
  })
})

describe('time that passes during a request', () => {
  test.each([['idle', 31], ['absolute', 121]])('%s: the change is dropped and nothing is refreshed', async (_what, minutes) => {
    const world = await started({ a: 1 })
    for (let used = 20; used < minutes - 2; used += 20) {
      world.now += 20 * MINUTE
      await world.request(world.cookie, { used })
    }
    const opened = await world.open(world.cookie)
    world.now += (minutes > 60 ? 21 : 31) * MINUTE
    expect(await world.commit(opened, { late: 1 }, 'permanent')).toEqual({ cookie: KEPT, outcome: 'dropped' })
    expect(await world.commit(opened)).toEqual({ cookie: KEPT, outcome: 'none' })
  })

  test('an absolute lifetime the configuration shortened holds for writes too', async () => {
    const before = await started({ a: 1 })
    const after = harness({ store: before.store.inner, policy: { absoluteMs: 60 * MINUTE } })
    for (let used = 0; used < 2; used++) {
      before.now += 25 * MINUTE
      await before.request(before.cookie, { b: 1 })
    }
    after.now = before.now
    const opened = await after.open(before.cookie)
    after.now = before.now += 11 * MINUTE
    expect((await after.commit(opened, { c: 1 })).outcome).toBe('dropped')
    expect(await before.dataOf(before.cookie)).toEqual({ a: 1, b: 1 })
  })
})

describe('a store that is away', () => {
  test('an answer that was lost says nothing; the same change again is harmless', async () => {
    const world = await started({ a: 1 })
    world.store.fail('replace', away(), 'after')
    await expect(world.request(world.cookie, { a: 2 })).rejects.toThrow(StoreUnavailableError)
    expect(await world.request(world.cookie, { a: 2 })).toEqual({ cookie: KEPT, outcome: 'stored' })
    expect(await world.dataOf(world.cookie)).toEqual({ a: 2 })
  })

  test('whoever waits behind a commit that failed for it pays the deadline once', async () => {
    const world = await started({ a: 1 })
    const opened = await Promise.all(Array.from({ length: 10 }, () => world.open(world.cookie)))
    const inner = world.store.inner
    inner.replace = () => new Promise((_resolve, reject) => setTimeout(() => reject(away()), 150))
    const startedAt = performance.now()
    const results = await Promise.allSettled(opened.map((one, i) => world.commit(one, { [`m${i}`]: 1 })))
    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    expect(performance.now() - startedAt).toBeLessThan(300)
  })

  test('but one that failed quickly is no reason not to try', async () => {
    const world = await started({ a: 1 })
    const opened = await Promise.all([world.open(world.cookie), world.open(world.cookie)])
    world.store.fail('replace', away())
    const results = await Promise.allSettled(opened.map((one, i) => world.commit(one, { [`m${i}`]: 1 })))
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })

  test('nothing is created for a visitor whose session could not be read', async () => {
    const world = await started({ a: 1 })
    world.store.forgetCalls()
    const unavailable = { ...NO_SESSION, wasPresented: true, unavailable: away() }
    await expect(world.commit(unavailable, { b: 1 })).rejects.toThrow(StoreUnavailableError)
    expect(world.store.calls).toEqual([])
  })
})

describe('loads', () => {
  test('that come together share one read; one that comes after a write does not', async () => {
    const world = await started({ a: 1 })
    const opened = await world.open(world.cookie)
    world.store.forgetCalls()
    const gate = world.store.hold('load', 'after')
    const together = vi.spyOn(performance, 'now').mockReturnValue(performance.now())   // however long the machine takes over them
    const early = Array.from({ length: 20 }, () => world.open(world.cookie))
    together.mockRestore()
    await gate.reached
    await world.commit(opened, undefined, 'destroy')
    expect((await world.open(world.cookie)).loaded).toBeUndefined()
    gate.open()
    expect((await Promise.all(early)).map(({ loaded }) => loaded?.session.data)).toEqual(Array(20).fill({ a: 1 }))
    expect(world.store.count('load')).toBe(2)
  })

  test('a read that has been on its way for long is not joined: another node may have written since', async () => {
    const world = await started({ a: 1 })
    const gate = world.store.hold('load', 'after')
    const early = world.open(world.cookie)
    await gate.reached
    await harness({ store: world.store.inner }).request(world.cookie, undefined, 'destroy')
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await world.open(world.cookie)).loaded).toBeUndefined()
    gate.open()
    await early
  })

  test('a failed read fails those who joined it and is not remembered', async () => {
    const world = await started({ a: 1 })
    world.store.fail('load', away())
    const results = await Promise.allSettled([world.open(world.cookie), world.open(world.cookie)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await world.dataOf(world.cookie)).toEqual({ a: 1 })
  })
})

describe('cookies', () => {
  test('every one of ours is tried, also behind many forged ones; two sessions count as none', async () => {
    const world = await started({ a: 1 })
    const other = world.cookieOf(await world.request(undefined, { b: 1 }))
    const forged = Array.from({ length: 100 }, (_, i) => `c1.${String(i).padStart(43, 'x')}.${'A'.repeat(43)}`)
    expect((await world.open([...forged, world.cookie])).loaded?.session.data).toEqual({ a: 1 })
    expect((await world.open([world.cookie, world.cookie])).loaded?.session.data).toEqual({ a: 1 })
    expect((await world.open([world.cookie, other])).loaded).toBeUndefined()
    expect((await world.open([other, world.cookie])).loaded).toBeUndefined()
  })

  test('forged ones cost no store call', async () => {
    const world = await started()
    world.store.forgetCalls()
    await world.open(['c1.x.y', world.cookie.slice(0, -1), `${world.cookie}A`, ''])
    expect(world.store.calls).toEqual([])
  })
})
