/** One running deadline. */
export interface Deadline {
  cancel(): void
}

/** Who is told when it is over. */
export interface Expiring {
  expire(): void
}

/**
 * Deadlines of one fixed length, on one timer for all of them: they fall due in the order they were started, so the timer waits for
 * the oldest alone. Starting and cancelling move a few references. An expiry may come up to 2 ms late, never early.
 */
export class Deadlines {
  private first: Link | undefined
  private last: Link | undefined
  private timer: NodeJS.Timeout | undefined

  constructor(private readonly delayMs: number) {}

  start(expiring: Expiring, now = performance.now()): Deadline {
    const link = new Link(this, now + this.delayMs, expiring, this.last)
    if (this.last) this.last.next = link
    else this.first = link
    this.last = link
    this.arm(this.delayMs)
    return link
  }

  /** Without effect the second time. */
  remove(link: Link): void {
    if (link.previous) link.previous.next = link.next
    else if (this.first === link) this.first = link.next
    else return
    if (link.next) link.next.previous = link.previous
    else this.last = link.previous
    link.previous = link.next = undefined
  }

  private arm(ms: number): void {
    this.timer ??= setTimeout(() => this.expireDue(), Math.ceil(ms)).unref()
  }

  private expireDue(): void {
    this.timer = undefined
    const now = performance.now()
    while (this.first && this.first.at <= now) {
      const due = this.first
      this.remove(due)
      due.expiring.expire()
    }
    if (this.first) this.arm(this.first.at - now)
  }
}

class Link implements Deadline {
  next: Link | undefined

  constructor(private readonly list: Deadlines, readonly at: number, readonly expiring: Expiring, public previous: Link | undefined) {}

  cancel(): void {
    this.list.remove(this)
  }
}
