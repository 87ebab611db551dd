import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { Expiring } from '../../src/stores/expiry-queue.ts'
import { createExpiryQueue, UNQUEUED } from '../../src/stores/expiry-queue.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { StoreRefusal } from '../../src/stores/refusal.ts'
import { heldBytes } from '../support/crash-oracle.ts'

const at = (ms: number) => ms as EpochMs
const bytes = Buffer.from('data')

function timedStore(maxEntries: number) {
  const time = { now: 1_000 }
  return { time, store: createMemoryStore({ maxEntries, clock: () => at(time.now) }) }
}

test('a full store refuses new sessions and keeps every live one', async () => {
  const { store } = timedStore(2)
  await store.create('a', bytes, at(9_000))
  await store.create('b', bytes, at(9_000))

  const refused = store.create('c', bytes, at(9_000))
  await expect(refused).rejects.toBeInstanceOf(StoreUnavailableError)
  await expect(refused).rejects.toHaveProperty('cause', expect.any(StoreRefusal))
  await expect(refused).rejects.toThrow('full: 2 entries of at most 2')
  expect(await store.load('a')).toBeDefined()
  expect(await store.load('b')).toBeDefined()
  await store.close()
})

test('a record takes the room it needs, whatever else was read and written beside it', async () => {
  const { store } = timedStore(5_000)
  const before = heldBytes()
  for (let index = 0; index < 5_000; index++) {
    await store.create(`key ${index}`, Buffer.alloc(450), at(9_000))
    for (let load = 0; load < 10; load++) await store.load(`key ${index}`)
  }
  expect((heldBytes() - before) / 5_000).toBeLessThan(2_000)
  await store.close()
})

test('a full store goes on replacing, touching and destroying', async () => {
  const { store } = timedStore(1)
  const created = await store.create('a', bytes, at(9_000))
  if (created.outcome !== 'stored') throw new Error('not stored')

  expect(await store.replace('a', created.version, bytes, at(9_000))).toMatchObject({ outcome: 'stored' })
  await store.touch('a', at(9_500))
  expect(await store.destroy('a', at(9_500))).toBeDefined()
  await store.destroy('unknown', at(9_500))
  expect(await store.create('unknown', bytes, at(9_000))).toEqual({ outcome: 'missing' })
  await store.close()
})

test('what has expired makes room, records and tombstones alike', async () => {
  const { store, time } = timedStore(2)
  await store.create('a', bytes, at(2_000))
  await store.destroy('b', at(3_000))
  await expect(store.create('c', bytes, at(9_000))).rejects.toThrow('full')

  time.now = 2_000
  expect(await store.create('c', bytes, at(9_000))).toMatchObject({ outcome: 'stored' })
  await expect(store.create('d', bytes, at(9_000))).rejects.toThrow('full')
  time.now = 3_000
  expect(await store.create('d', bytes, at(9_000))).toMatchObject({ outcome: 'stored' })
  await store.close()
})

test('the expiry queue yields exactly what is dead, whatever was prolonged or shortened', () => {
  interface Item extends Expiring { readonly id: number }
  const change = fc.record({ item: fc.nat(9), expiresAt: fc.nat(100), passed: fc.nat(10) })
  fc.assert(fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
    const queue = createExpiryQueue<Item>()
    const alive = new Map<number, Item>()
    let now = 0
    for (const { item: id, expiresAt, passed } of changes) {
      now += passed
      const item = alive.get(id)
      if (item) item.expiresAt = at(expiresAt)
      else alive.set(id, { id, expiresAt: at(expiresAt), queuedAt: UNQUEUED })
      queue.push(alive.get(id)!)

      const due = new Set([...alive.values()].filter((one) => one.expiresAt <= now).map((one) => one.id))
      for (let dead = queue.popExpired(at(now)); dead; dead = queue.popExpired(at(now))) {
        expect(due.delete(dead.id)).toBe(true)
        alive.delete(dead.id)
      }
      expect(due.size).toBe(0)
    }
  }))
})
