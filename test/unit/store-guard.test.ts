import { describe, expect, test, vi } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs, Version } from '../../src/session/session.ts'
import { Deadlines } from '../../src/stores/deadlines.ts'
import type { StoreCall } from '../../src/stores/guarded-store.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { StoreRefusal } from '../../src/stores/refusal.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { waitFor } from '../support/wait-for.ts'

const LATER = (Date.now() + 60_000) as EpochMs
const bytes = Buffer.from('x')
const TIMEOUT_MS = 60

/** A real store behind a switch: `away` hangs every call, `broken` fails it, `refusing` is alive and says no. */
function moodyStore() {
  const inner = createMemoryStore()
  const state = { mood: 'well' as 'well' | 'away' | 'broken' | 'refusing', calls: 0 }
  const act = <T>(call: () => Promise<T>): Promise<T> => {
    state.calls++
    if (state.mood === 'away') return new Promise(() => {})
    if (state.mood === 'broken') throw new TypeError('a bug in a driver')
    if (state.mood === 'refusing') return Promise.reject(new StoreUnavailableError('moody', 'load', new StoreRefusal('full')))
    return call()
  }
  const store: SessionStore = {
    kind: 'moody',
    load: (key) => act(() => inner.load(key)),
    create: (...args) => act(() => inner.create(...args)),
    replace: (...args) => act(() => inner.replace(...args)),
    touch: (...args) => act(() => inner.touch(...args)),
    destroy: (...args) => act(() => inner.destroy(...args)),
    ping: () => act(() => inner.ping()),
    close: () => inner.close(),
  }
  return { state, store }
}

describe('deadlines', () => {
  test('fall due in order, none early, none more than a little late; cancelled ones never', async () => {
    const deadlines = new Deadlines(50)
    const fired: { index: number; afterMs: number }[] = []
    const running = Array.from({ length: 20 }, (_, index) => {
      const startedAt = performance.now()
      return deadlines.start({ expire: () => fired.push({ index, afterMs: performance.now() - startedAt }) })
    })
    running.filter((_, index) => index % 3 !== 0).forEach((deadline) => deadline.cancel())
    running[1]!.cancel()
    await waitFor(() => fired.length === 7, 'deadlines')
    expect(fired.map(({ index }) => index)).toEqual([0, 3, 6, 9, 12, 15, 18])
    for (const { afterMs } of fired) {
      expect(afterMs).toBeGreaterThanOrEqual(50)
      expect(afterMs).toBeLessThan(150)
    }
    running[0]!.cancel()                                              // after it fired: nothing happens
  })

  test('take one timer, however many there are, and keep no process alive', () => {
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const deadlines = new Deadlines(10_000)
    for (let index = 0; index < 1_000; index++) deadlines.start({ expire() {} }).cancel()
    deadlines.start({ expire() {} })
    expect(timers).toHaveBeenCalledTimes(1)
    expect((timers.mock.results[0]!.value as NodeJS.Timeout).hasRef()).toBe(false)
    timers.mockRestore()
  })

  test('cancelling from within an expiry is heard', async () => {
    const deadlines = new Deadlines(10)
    const fired: string[] = []
    const expire = () => {
      fired.push('first')
      second.cancel()
    }
    deadlines.start({ expire })
    const second = deadlines.start({ expire: () => fired.push('second') })
    deadlines.start({ expire: () => fired.push('third') })
    await waitFor(() => fired.includes('third'), 'third deadline')
    expect(fired).toEqual(['first', 'third'])
  })
})

describe('a guarded store', () => {
  test('rejects a call that hangs, at its deadline and with the store\'s name', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store, { timeoutMs: TIMEOUT_MS })
    state.mood = 'away'
    const startedAt = performance.now()
    const error = await guarded.load('a').catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(String(error)).toContain('"moody" failed to load: no answer within 60 ms')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(TIMEOUT_MS)
    expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS + 100)
    await guarded.close()
  })

  test('turns whatever is thrown into StoreUnavailableError', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store)
    state.mood = 'broken'
    await expect(guarded.load('a')).rejects.toThrow('"moody" failed to load: a bug in a driver')
    await expect(guarded.touch('a', LATER)).rejects.toBeInstanceOf(StoreUnavailableError)
    await guarded.close()
  })

  test('opens its circuit after five calls without answer, and closes it by itself when the backend is back', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store, { timeoutMs: TIMEOUT_MS })
    state.mood = 'away'
    await Promise.allSettled(Array.from({ length: 5 }, () => guarded.load('a')))

    const calls = state.calls
    const startedAt = performance.now()
    await Promise.allSettled(Array.from({ length: 100 }, () => guarded.create('a', bytes, LATER)))
    expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS / 2)
    expect(state.calls).toBe(calls)

    state.mood = 'well'
    const healedAt = performance.now()
    await waitFor(() => guarded.load('a').then(() => true, () => false), 'closed circuit', 2_000)
    expect(performance.now() - healedAt).toBeLessThan(1_000)
    await guarded.close()
  })

  test('a successful ping closes the circuit at once', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store, { timeoutMs: TIMEOUT_MS })
    state.mood = 'away'
    await Promise.allSettled(Array.from({ length: 5 }, () => guarded.load('a')))
    state.mood = 'well'
    await guarded.ping()
    expect(await guarded.load('a')).toBeUndefined()
    await guarded.close()
  })

  test('does not open its circuit for failures that are not in a row, nor for a backend that says no', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store, { timeoutMs: TIMEOUT_MS })
    for (let round = 0; round < 3; round++) {
      state.mood = 'away'
      await Promise.allSettled(Array.from({ length: 4 }, () => guarded.load('a')))
      state.mood = 'well'
      await guarded.load('a')
    }
    state.mood = 'refusing'
    for (let round = 0; round < 20; round++) await expect(guarded.load('a')).rejects.toThrow('full')
    state.mood = 'well'
    expect(await guarded.load('a')).toBeUndefined()
    await guarded.close()
  })

  test('lets a part that is away take only its own keys with it, and finds out by itself when it is back', async () => {
    const [here, away] = [createMemoryStore(), moodyStore()]
    const partOf = (key: string) => key[0]!
    const store = guardStore({ ...here, partOf, load: (key) => partOf(key) === 'a' ? away.store.load(key) : here.load(key) }, { timeoutMs: TIMEOUT_MS })
    await store.create('b1', bytes, LATER)
    away.state.mood = 'away'
    await Promise.allSettled(Array.from({ length: 10 }, () => store.load('a1')))
    const { calls } = away.state
    await expect(store.load('a2')).rejects.toThrow(/it did not answer lately/)
    expect(away.state.calls).toBe(calls)
    for (let round = 0; round < 5; round++) expect(await store.load('b1')).toBeDefined()
    away.state.mood = 'well'
    await waitFor(() => store.load('a2').then(() => true, () => false), 'part that is back', 2_000)
    await store.close()
  })

  test('stops probing when it is closed', async () => {
    const { state, store } = moodyStore()
    const guarded = guardStore(store, { timeoutMs: 10 })
    state.mood = 'away'
    await Promise.allSettled(Array.from({ length: 5 }, () => guarded.load('a')))
    await guarded.close()
    const calls = state.calls
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(state.calls).toBe(calls)
  })

  test('tells the observer of every call once, with its outcome and duration', async () => {
    const { state, store } = moodyStore()
    const seen: StoreCall[] = []
    const guarded = guardStore(store, { timeoutMs: TIMEOUT_MS, onCall: (call) => seen.push(call) })
    await guarded.load('a')
    const created = await guarded.create('a', bytes, LATER)
    await guarded.load('a')
    await guarded.create('a', bytes, LATER)
    await guarded.replace('a', created.outcome === 'stored' ? created.version : '' as Version, bytes, LATER)
    await guarded.touch('a', LATER)
    await guarded.destroy('a', LATER)
    await guarded.replace('a', '' as Version, bytes, LATER)
    await guarded.ping()
    state.mood = 'away'
    await guarded.load('a').catch(() => {})
    expect(seen.map(({ operation, outcome }) => `${operation} ${outcome}`)).toEqual([
      'load absent', 'create stored', 'load hit', 'create conflict', 'replace stored', 'touch ok', 'destroy ok', 'replace missing', 'ping ok', 'load unavailable',
    ])
    expect(seen.at(-1)!.durationMs).toBeGreaterThanOrEqual(TIMEOUT_MS)
    for (const { durationMs } of seen.slice(0, -1)) expect(durationMs).toBeLessThan(TIMEOUT_MS)
    await guarded.close()
  })
})
