/** Something that must happen before `deadlineAt` (ms of `performance.now()`); Infinity while nothing is awaited. */
export interface Watched {
  readonly deadlineAt: number
  /** Called once per expiry, at most TICK_MS late. Must move or end the deadline. */
  onDeadline(): void
}

export interface Deadlines {
  watch(entry: Watched): void
  unwatch(entry: Watched): void
}

const TICK_MS = 25

/** One coarse timer for every exchange: a deadline then costs a comparison, not a timer. Holds no process open. */
export function createDeadlines(): Deadlines {
  const entries = new Set<Watched>()
  let timer: NodeJS.Timeout | undefined

  function sweep(): void {
    const now = performance.now()
    for (const entry of entries) {
      if (now >= entry.deadlineAt) entry.onDeadline()
    }
    if (entries.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(entry) {
      entries.add(entry)
      timer ??= setInterval(sweep, TICK_MS).unref()
    },
    unwatch: (entry) => void entries.delete(entry),
  }
}
