import { StoreUnavailableError } from '../errors.ts'
import { TransientMap } from '../transient-map.ts'

/** Runs work on one key after the other, in order of arrival; different keys do not wait for each other. */
export interface Turns<T> {
  /** `work` is given what the turn before it came to, while it waited for one. Resolves or rejects as `work` does. */
  take(key: string, work: (before: T | undefined) => Promise<T>): Promise<T>
}

/** A turn that waited this long for one that failed because the store was away fails with it: the deadline is paid once, not by each in turn. */
const PATIENCE_MS = 100

/**
 * Commits of one session in this process queue here, so that parallel requests do not spend store calls on conflicts with each
 * other. Correctness never depends on it: the store's compare-and-set decides, between processes and here. A failed turn does not
 * stop the next, but for the store's own absence.
 */
export function createTurns<T>(): Turns<T> {
  const tails = new TransientMap<string, Promise<T>>()

  async function after(before: Promise<T>, work: (before: T | undefined) => Promise<T>): Promise<T> {
    const arrivedAt = performance.now()
    let result: T | undefined
    try {
      result = await before
    } catch (error) {
      if (error instanceof StoreUnavailableError && performance.now() - arrivedAt > PATIENCE_MS) throw error
    }
    return work(result)
  }

  return {
    take(key, work) {
      const before = tails.get(key)
      const turn = before ? after(before, work) : work(undefined)
      tails.set(key, turn)
      const leave = (): void => {
        if (tails.get(key) === turn) tails.delete(key)
      }
      turn.then(leave, leave)
      return turn
    },
  }
}
