/** Something that must happen before `deadlineAt` (ms of `performance.now()`); Infinity while nothing is awaited. */
export interface Watched {
  readonly deadlineAt: number
  /** Where it stands in the list: kept by Deadlines. */
  slot: number | undefined
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
  const entries: Watched[] = []
  let timer: NodeJS.Timeout | undefined

  function sweep(): void {
    const now = performance.now()
    for (const entry of [...entries]) {
      if (entry.slot !== undefined && now >= entry.deadlineAt) entry.onDeadline()
    }
    if (entries.length > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(entry) {
      if (entry.slot !== undefined) return
      entry.slot = entries.length
      entries.push(entry)
      timer ??= setInterval(sweep, TICK_MS).unref()
    },
    /** The last one takes its place. (A Set that many pass through keeps them all alive: see transient-map.ts.) */
    unwatch(entry) {
      const { slot } = entry
      const last = entries.at(-1)
      if (slot === undefined || last === undefined) return
      entries[slot] = last
      last.slot = slot
      entries.pop()
      entry.slot = undefined
    },
  }
}
