/** Keys at most that a server is asked for at once: it works on so many without a pause. */
export const MAX_BATCH = 64

/** What becomes of a reply, or of its absence. */
export interface Understanding<Reply, T> {
  read(reply: Reply): T
  /** The error to reject with, for whatever kept the reply away or for what `read` threw. */
  explain(error: unknown): Error
}

export interface BatchOptions<Item, Reply> {
  /** At most this many at once: a server that works on one batch answers nobody else meanwhile. */
  readonly limit: number
  /** Asks for all of them; the replies in the same order. `isAgain`: some of them may have been carried out before. */
  readonly ask: (items: Item[], isAgain: boolean) => Promise<readonly Reply[]>
  /** Whether the batch failed for what it holds, so that each item must be asked for alone: that must do no harm. */
  readonly isDivisible: (error: unknown) => boolean
  /** Calls back once, at the end of this turn of the event loop. */
  readonly atEndOfTurn: (flush: () => void) => void
}

export type Ask<Item, Reply> = <T>(item: Item, understanding: Understanding<Reply, T>) => Promise<T>

/** Gathers what one turn of the event loop asks for and asks once: a call to a server costs about the same for one item as for twenty. */
export function createBatches<Item, Reply>({ limit, ask, isDivisible, atEndOfTurn }: BatchOptions<Item, Reply>): Ask<Item, Reply> {
  let gathered: Waiting<Item, Reply>[] = []

  function flush(): void {
    const all = gathered
    gathered = []
    for (let i = 0; i < all.length; i += limit) send(all.length <= limit ? all : all.slice(i, i + limit), false)
  }

  function send(batch: readonly Waiting<Item, Reply>[], isAgain: boolean): void {
    ask(batch.map(({ item }) => item), isAgain).then((replies) => {
      for (let i = 0; i < batch.length; i++) batch[i]!.answered(replies[i] as Reply)
    }, (error: unknown) => {
      if (batch.length > 1 && isDivisible(error)) for (const one of batch) send([one], true)
      else for (const one of batch) one.failed(error)
    })
  }

  return <T>(item: Item, understanding: Understanding<Reply, T>) => new Promise<T>((resolve, reject) => {
    if (gathered.push(new Waiting(item, understanding, resolve as (value: unknown) => void, reject)) === 1) atEndOfTurn(flush)
  })
}

class Waiting<Item, Reply> {
  constructor(
    readonly item: Item,
    private readonly understanding: Understanding<Reply, unknown>,
    private readonly resolve: (value: unknown) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  answered(reply: Reply): void {
    try {
      this.resolve(this.understanding.read(reply))
    } catch (error) {
      this.failed(error)
    }
  }

  failed(error: unknown): void {
    this.reject(this.understanding.explain(error))
  }
}
