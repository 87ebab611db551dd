import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs, Version } from '../../src/session/session.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { SessionStore, WriteOutcome } from '../../src/stores/store.ts'
import { heldBytes } from './crash-oracle.ts'
import { startRelay } from './relay.ts'
import type { ServerProcess } from './servers.ts'
import { startStopwatch } from './stopwatch.ts'
import { waitFor } from './wait-for.ts'

export const TIMEOUT_MS = 250
const GRACE_MS = 100
/** Within which a call with that deadline is answered. */
export const ANSWER_MS = TIMEOUT_MS + GRACE_MS
/** Within which a store serves again. */
export const RECOVERY_MS = 2_000
/** As a patient operator sets it, so that the test waits for the repair and not for the machine. */
const PATIENT_MS = 2_000

const CROWD = 400
const CARGO_BYTES = 65_536

export interface FaultSubject<Server extends ServerProcess & { readonly port: number }> {
  readonly start: () => Promise<Server>
  /** Opens the store, unguarded, on a server that is reached at `host:port`. */
  readonly open: (server: Server, address: string, timeoutMs: number) => SessionStore
  /** Whether a killed server has its records when it is back. */
  readonly isDurable: boolean
  /** Whether a replace is one round trip, so that its answer alone can be held back. */
  readonly isOneStep: boolean
  /** Whether a call can go unanswered when its connection ends at that moment, for a fault of the driver: unknown, and safe to repeat. */
  readonly losesCalls?: boolean
  /** Of the guard and the store. Default 250. */
  readonly timeoutMs?: number
}

export const inAnHour = (): EpochMs => (systemClock() + 3_600_000) as EpochMs

export function versionOf(written: WriteOutcome): Version {
  if (written.outcome !== 'stored') throw new Error(`not stored but ${written.outcome}`)
  return written.version
}

export function serves(store: SessionStore): Promise<boolean> {
  return waitFor(() => store.ping().then(() => true, () => false), 'store that serves', RECOVERY_MS)
}

/** Every method must say "unavailable", in time. */
export async function expectAllRefused(store: SessionStore, key: string, version: Version, timeoutMs = TIMEOUT_MS): Promise<void> {
  const calls = [
    () => store.load(key), () => store.create('new', Buffer.from('x'), inAnHour()), () => store.replace(key, version, Buffer.from('x'), inAnHour()),
    () => store.touch(key, inAnHour()), () => store.destroy(key, inAnHour()), () => store.ping(),
  ]
  await Promise.all(calls.map(async (call) => {
    const elapsed = startStopwatch()
    await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError)
    expect(elapsed()).toBeLessThan(timeoutMs + GRACE_MS)
  }))
}

/** What every store behind a network must bear: each call is answered in time, the store serves again soon, no write is done twice. */
export function testNetworkFaults<Server extends ServerProcess & { readonly port: number }>(subject: FaultSubject<Server>): void {
  const bytes = Buffer.alloc(3_000, 7)
  const { timeoutMs: usualMs = TIMEOUT_MS, losesCalls = false } = subject
  const opened: SessionStore[] = []
  let server: Server
  beforeAll(async () => { server = await subject.start() })
  afterAll(() => server[Symbol.asyncDispose]())
  afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

  function open(address: string, timeoutMs = usualMs): SessionStore {
    const store = guardStore(subject.open(server, address, timeoutMs), { timeoutMs })
    opened.push(store)
    return store
  }
  const address = () => `127.0.0.1:${server.port}`

  test('a killed server: every call is answered in time, and it serves within two seconds of being back', async () => {
    const key = randomUUID()
    const store = open(address())
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    await server.kill()
    for (let round = 0; round < 3; round++) await expectAllRefused(store, key, version, usualMs)

    await server.restart()
    await serves(store)
    expect((await store.load(key))?.version).toBe(subject.isDurable ? version : undefined)
    const replaced = await store.replace(key, version, bytes, inAnHour())
    expect(replaced.outcome).toBe(subject.isDurable ? 'stored' : 'missing')
  })

  test('a stopped server: every call is answered in time, and it serves within two seconds of going on', async () => {
    const key = randomUUID()
    const store = open(address())
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    server.pause()
    try {
      await waitFor(() => store.ping().then(() => false, () => true), 'server that stands still')
      for (let round = 0; round < 3; round++) await expectAllRefused(store, randomUUID(), version, usualMs)
    } finally {
      server.resume()
    }
    await serves(store)
    expect((await store.load(key))?.version).toBe(version)
  })

  test('an outage holds no memory: what calls carried is gone once they were answered, though the server still stands', async () => {
    const key = randomUUID()
    const store = guardStore(subject.open(server, address(), usualMs), { timeoutMs: usualMs, failureThreshold: Number.POSITIVE_INFINITY })
    opened.push(store)
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    const crowd = async () => {
      const outcomes = Array.from({ length: CROWD }, () => store.replace(key, version, Buffer.alloc(CARGO_BYTES, 7), inAnHour()).then(() => 'stored', () => 'refused'))
      expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['refused']))
    }
    server.pause()
    try {
      await crowd()
      const held = heldBytes()
      for (let wave = 0; wave < 2; wave++) await crowd()
      await waitFor(() => heldBytes() - held < CROWD * CARGO_BYTES / 4, 'memory that was given back', RECOVERY_MS)
    } finally {
      server.resume()
    }
    await serves(store)
  })

  test('a server that is away at the start is reached as soon as it is there', async () => {
    await using relay = await startRelay(server.port)
    relay.refuse()
    const store = open(relay.address)
    await expect(store.ping()).rejects.toThrow(/ECONNREFUSED/)
    await relay.accept()
    await serves(store)
  })

  test('a black hole: calls are answered in time, the half-open connection is replaced, and it serves again', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address)
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    relay.set({ blackHole: true })
    const connections = relay.connectionCount
    for (let round = 0; round < 3; round++) await expectAllRefused(store, key, version, usualMs)
    await relay.waitForConnections(connections + 1)
    relay.heal()
    await serves(store)
    expect((await store.load(key))?.version).toBe(version)
  })

  test('a network slower than the deadline: calls are answered in time, and serve when it is quick again', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address)
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    relay.set({ latencyMs: usualMs + 150 })
    for (let round = 0; round < 2; round++) await expectAllRefused(store, key, version, usualMs)
    relay.heal()
    await serves(store)
  })

  test('a slow network within the deadline is no fault', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    await serves(store)
    relay.set({ latencyMs: 30, sliceBytes: 200 })
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    expect((await store.load(key))?.version).toBe(version)
  })

  test('a connection reset in the middle of a reply is repaired within the call', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    for (const resetAfterBytes of [1, 5, 100, 2_000]) {
      await store.load(key)
      relay.set({ resetAfterBytes }, 'down')
      const connections = relay.connectionCount
      const loading = store.load(key)
      await relay.waitForConnections(connections + 1)
      relay.set({ resetAfterBytes: undefined }, 'down')
      const record = await loading
      expect(record?.version).toBe(version)
      expect(Buffer.from(record!.bytes).equals(bytes)).toBe(true)
    }
  })

  test('a write whose answer was lost is recognised when it is sent again', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    const witness = open(address(), PATIENT_MS)
    await serves(store)
    let version = versionOf(await store.create(key, Buffer.from('0'), inAnHour()))
    const cutAnswer = async (write: () => Promise<WriteOutcome>, hasArrived: () => Promise<boolean>) => {
      relay.set({ hold: true }, 'down')
      const writing = write()
      await waitFor(hasArrived, 'write that arrived')
      relay.resetAll()
      relay.set({ hold: undefined }, 'down')
      return versionOf(await writing)
    }
    const textOf = async (key: string) => String(Buffer.from((await witness.load(key))?.bytes ?? []))
    for (let count = 1; count <= 3; count++) {
      const text = String(count)
      const created = randomUUID()
      await store.create(randomUUID(), bytes, inAnHour())             // a statement is prepared once on each connection
      await cutAnswer(() => store.create(created, bytes, inAnHour()), async () => await witness.load(created) !== undefined)
      if (!subject.isOneStep) continue
      version = versionOf(await store.replace(key, version, bytes, inAnHour()))
      version = await cutAnswer(() => store.replace(key, version, Buffer.from(text), inAnHour()), async () => await textOf(key) === text)
      expect(await textOf(key)).toBe(text)
    }
  })

  test.runIf(subject.isOneStep)('a write whose answer was lost, and over which another wrote, is unknown: never a conflict, which would say that it was not stored', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    const witness = open(address(), PATIENT_MS)
    await serves(store)
    const first = versionOf(await store.create(key, bytes, inAnHour()))
    const version = versionOf(await store.replace(key, first, bytes, inAnHour()))      // a statement is prepared once on each connection
    relay.set({ hold: true }, 'down')
    const writing = store.replace(key, version, Buffer.from('ours'), inAnHour())
    const arrived = await waitFor(async () => {
      const record = await witness.load(key)
      return record && Buffer.from(record.bytes).toString() === 'ours' ? record : undefined
    }, 'write that arrived')
    versionOf(await witness.replace(key, arrived.version, Buffer.from('theirs'), inAnHour()))
    relay.resetAll()
    relay.set({ hold: undefined }, 'down')
    await expect(writing).rejects.toThrow(/unknown whether it was stored/)
    expect(await store.replace(key, version, bytes, inAnHour())).toMatchObject({ outcome: 'conflict' })
  })

  test('a destroy whose answer was lost still returns the record it ended', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    const witness = open(address(), PATIENT_MS)
    await serves(store)
    const version = versionOf(await store.create(key, bytes, inAnHour()))
    relay.set({ latencyMs: 50 }, 'down')                              // so that the cut comes between the write and its answer
    const destroying = store.destroy(key, inAnHour())
    await waitFor(async () => await witness.load(key) === undefined, 'ended record')
    relay.resetAll()
    relay.heal()
    expect((await destroying)?.version).toBe(version)
  })

  test('connections that the server ends just as calls begin: they are served on others, or the store serves again within two seconds', async () => {
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, usualMs)
    await serves(store)
    await store.create(key, bytes, inAnHour())
    for (let round = 0; round < 4; round++) {
      await serves(store)
      await Promise.all(Array.from({ length: 4 }, () => store.load(key).catch(() => undefined)))
      relay.halfClose('down')
      const loads: Promise<string>[] = []
      for (let turn = 0; turn < 20; turn++) {
        loads.push(store.load(key).then((record) => record ? 'served' : 'absent', () => 'refused'))
        await nextTurn()
      }
      const others = (await Promise.all(loads)).filter((one) => one !== 'served' && !(losesCalls && one === 'refused'))
      expect(others).toEqual([])
    }
    await serves(store)
    await Promise.all(Array.from({ length: 20 }, () => store.load(key)))
  })

  test('connections cut under a load: every read is served, and every acknowledged write is done once', async () => {
    const counter = randomUUID()
    const key = randomUUID()
    await using relay = await startRelay(server.port)
    const store = open(relay.address, PATIENT_MS)
    await serves(store)
    let version = versionOf(await store.create(counter, Buffer.from('0'), inAnHour()))
    await store.create(key, bytes, inAnHour())
    const outcomes = Array.from({ length: 4 }, (): string[] => [])
    const outcomeOf = (error: unknown): string => losesCalls && String(error).includes('no answer within') ? 'lost' : String(error)
    let isCutting = true
    const readers = outcomes.map(async (own) => {
      while (isCutting) {
        own.push(await store.load(key).then((record) => record ? 'served' : 'absent', outcomeOf))
        await nextTurn()                                              // a store that is known to be away answers at once
      }
    })
    const writer = (async () => {
      for (let count = 1; count <= 60;) {
        try {
          version = versionOf(await store.replace(counter, version, Buffer.from(String(count)), inAnHour()))
          count++
        } catch (error) {
          if (outcomeOf(error) !== 'lost') throw error
          const found = (await store.load(counter).catch(() => store.load(counter)))!
          version = found.version
          count = Number(Buffer.from(found.bytes).toString()) + 1
        }
      }
    })()
    let isWriting = true
    void writer.finally(() => { isWriting = false }).catch(() => {})
    try {
      while (isWriting) {
        const before = outcomes.map((own) => own.length)
        await waitFor(() => !isWriting || outcomes.every((own, reader) => own.length > before[reader]! + 5), 'loads of every reader after the cut')
        relay.resetAll()
      }
      await writer
    } finally {
      isCutting = false
      await Promise.all(readers)
    }
    expect(new Set(outcomes.flat().filter((outcome) => outcome !== 'lost'))).toEqual(new Set(['served']))
    expect(String(Buffer.from((await store.load(counter))!.bytes))).toBe('60')
  })
}
