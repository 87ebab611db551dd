/** Entries set before the table is renewed. */
const RENEWED_AFTER = 256

/**
 * A map for what comes and goes with requests; iterates in no particular order of age.
 *
 * V8 links every table that a Map outgrows to the one after it. Once one of them is old, each later one, with whatever it held, survives
 * until the next full collection: the collector then copies every finished request. A new Map now and then ends the chain.
 */
export class TransientMap<Key, Value> {
  #entries = new Map<Key, Value>()
  #sets = 0

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: Key, value: Value): void {
    if (++this.#sets > RENEWED_AFTER + this.#entries.size) {
      this.#entries = new Map(this.#entries)
      this.#sets = 0
    }
    this.#entries.set(key, value)
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  values(): Iterable<Value> {
    return this.#entries.values()
  }
}
