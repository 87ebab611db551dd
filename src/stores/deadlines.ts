/** One running deadline. */
export interface Deadline {
  cancel(): void
}

interface Link {
  readonly at: number
  readonly expire: () => void
  previous: Link | undefined
  next: Link | undefined
}

/**
 * Deadlines of one fixed length, on one timer for all of them: they fall due in the order they were started, so the timer waits for
 * the oldest alone. Starting and cancelling move a few references. An expiry may come up to 2 ms late, never early.
 */
export function createDeadlines(delayMs: number): { start(expire: () => void): Deadline } {
  let first: Link | undefined
  let last: Link | undefined
  let timer: NodeJS.Timeout | undefined

  function remove(link: Link): void {
    if (link.previous) link.previous.next = link.next
    else if (first === link) first = link.next
    else return                                                     // removed before
    if (link.next) link.next.previous = link.previous
    else last = link.previous
    link.previous = link.next = undefined
  }

  function expireDue(): void {
    timer = undefined
    const now = performance.now()
    while (first && first.at <= now) {
      const due = first
      remove(due)
      due.expire()
    }
    if (first) arm(first.at - now)
  }

  function arm(ms: number): void {
    timer ??= setTimeout(expireDue, Math.ceil(ms)).unref()
  }

  return {
    start(expire) {
      const link: Link = { at: performance.now() + delayMs, expire, previous: last, next: undefined }
      if (last) last.next = link
      else first = link
      last = link
      arm(delayMs)
      return { cancel: () => remove(link) }
    },
  }
}
