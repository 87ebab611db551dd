import { createPlainCodec } from '../../src/session/codec.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from '../../src/stores/store.ts'

export type StoreMethod = 'load' | 'create' | 'replace' | 'touch' | 'destroy' | 'ping'

/** One call held at a gate. */
export interface Gate {
  /** Resolves when a call stands at the gate. */
  readonly reached: Promise<void>
  open(): void
}

interface Rule {
  readonly method: StoreMethod
  readonly when: 'before' | 'after'
  readonly pass: () => Promise<void>
}

const PLAIN = createPlainCodec()

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => { resolve = settle })
  return { promise, resolve }
}

/** A real store with gates: a test decides when a call reaches it and when its answer comes back. Counts calls. */
export class GatedStore implements SessionStore {
  readonly kind: string
  readonly calls: StoreMethod[] = []
  /** Every key a record was ever created under. */
  readonly createdKeys: string[] = []
  readonly #rules: Rule[] = []

  constructor(readonly inner: SessionStore) {
    this.kind = inner.kind
  }

  /** Holds the next call of `method` before it reaches the store, or its answer on the way back. */
  hold(method: StoreMethod, when: 'before' | 'after' = 'before'): Gate {
    const reached = deferred()
    const opened = deferred()
    this.#rules.push({ method, when, pass: () => { reached.resolve(); return opened.promise } })
    return { reached: reached.promise, open: opened.resolve }
  }

  /** The next call of `method` rejects: before it reaches the store, or after the store did as told (an answer lost on the way). */
  fail(method: StoreMethod, error: Error, when: 'before' | 'after' = 'before'): void {
    this.#rules.push({ method, when, pass: () => Promise.reject(error) })
  }

  count(...methods: StoreMethod[]): number {
    return this.calls.filter((call) => methods.includes(call)).length
  }

  /** How many of them hold a session or point to one; in plain text alone. */
  async liveRecords(): Promise<number> {
    const records = await Promise.all(this.createdKeys.map(async (key) => ({ key, record: await this.inner.load(key) })))
    return records.filter(({ key, record }) => record && PLAIN.decode(key, record.bytes).kind !== 'gone').length
  }

  forgetCalls(): void { this.calls.length = 0 }

  load(key: string): Promise<StoredRecord | undefined> { return this.#call('load', () => this.inner.load(key)) }
  create(...args: Parameters<SessionStore['create']>): Promise<WriteOutcome> {
    this.createdKeys.push(args[0])
    return this.#call('create', () => this.inner.create(...args))
  }
  replace(...args: Parameters<SessionStore['replace']>): Promise<WriteOutcome> { return this.#call('replace', () => this.inner.replace(...args)) }
  touch(...args: Parameters<SessionStore['touch']>): Promise<void> { return this.#call('touch', () => this.inner.touch(...args)) }
  destroy(...args: Parameters<SessionStore['destroy']>): Promise<StoredRecord | undefined> { return this.#call('destroy', () => this.inner.destroy(...args)) }
  ping(): Promise<void> { return this.#call('ping', () => this.inner.ping()) }
  close(): Promise<void> { return this.inner.close() }

  async #call<T>(method: StoreMethod, run: () => Promise<T>): Promise<T> {
    this.calls.push(method)
    const taken = this.#rules.findIndex((rule) => rule.method === method)
    const [rule] = taken < 0 ? [] : this.#rules.splice(taken, 1)
    if (rule?.when === 'before') await rule.pass()
    const result = await run()
    if (rule?.when === 'after') await rule.pass()
    return result
  }
}
