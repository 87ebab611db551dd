/** Runs work on one key after the other, in order of arrival; different keys do not wait for each other. */
export interface Turns {
  /** Resolves or rejects as `work` does. A failed turn does not stop the next. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>
}

/**
 * Commits of one session in this process queue here, so that parallel requests do not spend store calls on conflicts with each
 * other. Correctness never depends on it: the store's compare-and-set decides between processes.
 */
export function createTurns(): Turns {
  const tails = new Map<string, Promise<unknown>>()
  return {
    async take(key, work) {
      const before = tails.get(key)
      const turn = before ? before.then(work, work) : work()
      tails.set(key, turn)
      try {
        return await turn
      } finally {
        if (tails.get(key) === turn) tails.delete(key)
      }
    },
  }
}
