import type { EpochMs } from '../session/session.ts'

/** What can be queued: its current expiry, and the earliest instant it is queued for (the queue's own mark). */
export interface Expiring {
  expiresAt: EpochMs
  queuedAt: EpochMs
}

/** `queuedAt` of an item in no queue. */
export const UNQUEUED = Number.POSITIVE_INFINITY as EpochMs

/**
 * Finds what has expired without scanning what has not. A binary heap of lower bounds: an item whose life was prolonged stays
 * where it is and moves only when its old instant comes, so prolonging costs nothing and each item has one valid place.
 */
export interface ExpiryQueue<T extends Expiring> {
  /** To be called for a new item and after every change of `expiresAt`. */
  push(item: T): void
  /** Removes and returns one item that is dead at `now`, or undefined when there is none. */
  popExpired(now: EpochMs): T | undefined
}

export function createExpiryQueue<T extends Expiring>(): ExpiryQueue<T> {
  const instants: number[] = []
  const items: T[] = []

  function push(item: T): void {
    if (item.queuedAt <= item.expiresAt) return
    item.queuedAt = item.expiresAt
    rise(item.expiresAt, item)
  }

  function rise(instant: number, item: T): void {
    let index = instants.length
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (instants[parent]! <= instant) break
      move(parent, index)
      index = parent
    }
    instants[index] = instant
    items[index] = item
  }

  function popExpired(now: EpochMs): T | undefined {
    while (instants.length > 0 && instants[0]! <= now) {
      const instant = instants[0]!
      const item = items[0]!
      removeFirst()
      if (item.queuedAt !== instant) continue                       // it was queued again for an earlier instant
      item.queuedAt = UNQUEUED
      if (item.expiresAt <= now) return item
      push(item)
    }
    return undefined
  }

  function removeFirst(): void {
    const instant = instants.pop()!
    const item = items.pop()!
    const size = instants.length
    if (size === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= size) break
      if (child + 1 < size && instants[child + 1]! < instants[child]!) child++
      if (instants[child]! >= instant) break
      move(child, index)
      index = child
    }
    instants[index] = instant
    items[index] = item
  }

  function move(from: number, to: number): void {
    instants[to] = instants[from]!
    items[to] = items[from]!
  }

  return { push, popExpired }
}
