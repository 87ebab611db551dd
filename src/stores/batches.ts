interface Waiting<Item, Reply> {
  readonly item: Item
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
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

/** Gathers what one turn of the event loop asks for and asks once: a call to a server costs about the same for one item as for twenty. */
export function createBatches<Item, Reply>({ limit, ask, isDivisible, atEndOfTurn }: BatchOptions<Item, Reply>): (item: Item) => Promise<Reply> {
  let gathered: Waiting<Item, Reply>[] = []

  function flush(): void {
    const all = gathered
    gathered = []
    for (let i = 0; i < all.length; i += limit) send(all.length <= limit ? all : all.slice(i, i + limit), false)
  }

  function send(batch: readonly Waiting<Item, Reply>[], isAgain: boolean): void {
    ask(batch.map(({ item }) => item), isAgain).then((replies) => {
      for (let i = 0; i < batch.length; i++) batch[i]!.resolve(replies[i] as Reply)
    }, (error: unknown) => {
      if (batch.length > 1 && isDivisible(error)) for (const one of batch) send([one], true)
      else for (const { reject } of batch) reject(error)
    })
  }

  return (item) => new Promise((resolve, reject) => {
    if (gathered.push({ item, resolve, reject }) === 1) atEndOfTurn(flush)
  })
}
