import { getHeapSpaceStatistics } from 'node:v8'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDeadlines, type Watched } from '../../src/proxy/deadlines.ts'
import { TransientMap } from '../../src/transient-map.ts'
import { collectGarbage } from '../support/crash-oracle.ts'

test('holds what a Map holds', () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean())
  fc.assert(fc.property(fc.array(step, { minLength: 600, maxLength: 900 }), (steps) => {
    const [ours, plain] = [new TransientMap<number, number>(), new Map<number, number>()]
    steps.forEach(([key, isSet], i) => {
      for (const map of [ours, plain]) if (isSet) map.set(key, i); else map.delete(key)
      expect(ours.get(key)).toBe(plain.get(key))
    })
    expect([...ours.values()].sort()).toEqual([...plain.values()].sort())
  }), { numRuns: 20 })
})

interface Visitor extends Watched { readonly weight: number[] }

const newVisitor = (i: number): Visitor => ({ weight: new Array<number>(400).fill(i), deadlineAt: Infinity, slot: undefined, onDeadline() {} })

/** Bytes that reach the old generation while 60 000 visitors of 3 KB come and go, 50 at a time, after a full collection. */
function bytesGrownOld(enter: (visitor: Visitor) => void, leave: (visitor: Visitor) => void): number {
  const present: Visitor[] = []
  const pass = (i: number): void => {
    const visitor = newVisitor(i)
    enter(visitor)
    present.push(visitor)
    if (present.length > 50) leave(present.shift()!)
  }
  for (let i = 0; i < 1_000; i++) pass(i)
  collectGarbage()
  let [grown, before] = [0, oldBytes()]
  for (let i = 0; i < 60_000; i++) {
    pass(i)
    if (i % 1_000 > 0) continue
    const now = oldBytes()
    grown += Math.max(0, now - before)
    before = now
  }
  return grown
}

const oldBytes = (): number => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size

test('what has left is collected young, as it is not from a Map', () => {
  const [ours, plain, deadlines] = [new TransientMap<Visitor, Visitor>(), new Map<Visitor, Visitor>(), createDeadlines()]
  const inMap = bytesGrownOld((visitor) => plain.set(visitor, visitor), (visitor) => plain.delete(visitor))

  expect(bytesGrownOld((visitor) => ours.set(visitor, visitor), (visitor) => ours.delete(visitor))).toBeLessThan(inMap / 5)
  expect(bytesGrownOld((visitor) => deadlines.watch(visitor), (visitor) => deadlines.unwatch(visitor))).toBeLessThan(inMap / 5)
})
