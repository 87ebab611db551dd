import { StoreUnavailableError } from '../errors.ts'
import type { Circuit } from './circuit.ts'
import { createCircuit } from './circuit.ts'
import { Deadlines, type Deadline, type Expiring } from './deadlines.ts'
import { StoreRefusal } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'

export type StoreOperation = 'load' | 'create' | 'replace' | 'touch' | 'destroy' | 'scan' | 'ping'
/** `hit` and `absent` of a load, the three of a write, `ok` of all else; `unavailable` when the call rejected. */
export type StoreCallOutcome = 'hit' | 'absent' | WriteOutcome['outcome'] | 'ok' | 'unavailable'

export interface StoreCall {
  readonly operation: StoreOperation
  readonly outcome: StoreCallOutcome
  readonly durationMs: number
}

export interface GuardOptions {
  /** Deadline of one call. Undefined: none, and no circuit breaker; for stores that answer without I/O. */
  readonly timeoutMs?: number | undefined
  /** Calls in a row without an answer that open the circuit. Default 5. */
  readonly failureThreshold?: number
  /** Told of every call when it settles. Must not throw. */
  readonly onCall?: ((call: StoreCall) => void) | undefined
}

/**
 * Any store, made safe to depend on: every call settles within `timeoutMs`, whatever the driver does; when the backend is away,
 * callers are told at once; whatever is thrown becomes a StoreUnavailableError. A call that was given up may still take
 * effect: its outcome is unknown, and repeating it is safe. Where the store has parts, one that is away takes only its own keys with it.
 */
export function guardStore(store: SessionStore, options: GuardOptions = {}): SessionStore {
  const { timeoutMs, failureThreshold = 5, onCall } = options
  const watch: Watch = { kind: store.kind, timeoutMs, deadlines: timeoutMs === undefined ? undefined : new Deadlines(timeoutMs), onCall }
  const whole = minding(() => store.ping())
  const parts = new Map<string, Circuit>()

  function minding(probe: () => Promise<unknown>): Circuit {
    const threshold = timeoutMs === undefined ? Number.POSITIVE_INFINITY : failureThreshold
    const circuit = createCircuit({ threshold, probe: () => settle(circuit, 'ping', probe, ok).then(() => undefined) })
    return circuit
  }

  /** Of the part that holds the key. A part is asked for the first key it was seen with, wherever that is by then. */
  function circuitOf(key: string): Circuit {
    if (!store.partOf) return whole
    const part = store.partOf(key)
    const known = parts.get(part)
    if (known) return known
    const circuit = minding(() => store.load(key))
    parts.set(part, circuit)
    return circuit
  }

  function call<T>(circuit: Circuit, operation: StoreOperation, start: () => Promise<T>, outcomeOf: (value: T) => StoreCallOutcome): Promise<T> {
    if (!circuit.isOpen()) return settle(circuit, operation, start, outcomeOf)
    onCall?.({ operation, outcome: 'unavailable', durationMs: 0 })
    return Promise.reject(new StoreUnavailableError(store.kind, operation, new Error('it did not answer lately; probing it')))
  }

  function settle<T>(circuit: Circuit, operation: StoreOperation, start: () => Promise<T>, outcomeOf: (value: T) => StoreCallOutcome): Promise<T> {
    return new Promise((resolve, reject) => {
      const running = new Running(watch, circuit, operation, outcomeOf, resolve, reject)
      begun(start).then((value) => running.answered(value), (error: unknown) => running.failed(error))
    })
  }

  return {
    kind: store.kind,
    load: (key) => call(circuitOf(key), 'load', () => store.load(key), found),
    create: (key, bytes, expiresAt) => call(circuitOf(key), 'create', () => store.create(key, bytes, expiresAt), written),
    replace: (key, expected, bytes, expiresAt) => call(circuitOf(key), 'replace', () => store.replace(key, expected, bytes, expiresAt), written),
    touch: (key, expiresAt) => call(circuitOf(key), 'touch', () => store.touch(key, expiresAt), ok),
    destroy: (key, tombstoneUntil) => call(circuitOf(key), 'destroy', () => store.destroy(key, tombstoneUntil), ok),
    ...(store.scan && { scan: (cursor, limit) => call(whole, 'scan', () => store.scan!(cursor, limit), ok) }),
    ping: () => settle(whole, 'ping', () => store.ping(), ok),
    close() {
      for (const circuit of [whole, ...parts.values()]) circuit.stop()
      return store.close()
    },
  }
}

/** What all calls of a store have in common. */
interface Watch {
  readonly kind: string
  readonly timeoutMs: number | undefined
  readonly deadlines: Deadlines | undefined
  readonly onCall: GuardOptions['onCall']
}

/** A call on its way: the first to say how it ended decides. */
class Running<T> implements Expiring {
  private isSettled = false
  private readonly startedAt = performance.now()
  private readonly deadline: Deadline | undefined

  constructor(
    private readonly watch: Watch,
    private readonly circuit: Circuit,
    private readonly operation: StoreOperation,
    private readonly outcomeOf: (value: T) => StoreCallOutcome,
    private readonly resolve: (value: T) => void,
    private readonly reject: (error: StoreUnavailableError) => void,
  ) {
    this.deadline = watch.deadlines?.start(this, this.startedAt)
  }

  answered(value: T): void {
    if (this.isSettled) return
    this.settle(this.outcomeOf(value))
    this.circuit.succeed()
    this.resolve(value)
  }

  failed(error: unknown): void {
    if (this.isSettled) return
    this.settle('unavailable')
    const unavailable = error instanceof StoreUnavailableError ? error : new StoreUnavailableError(this.watch.kind, this.operation, error)
    if (unavailable.cause instanceof StoreRefusal) this.circuit.succeed()         // it said no, but it did answer
    else this.circuit.fail()
    this.reject(unavailable)
  }

  expire(): void {
    this.failed(new Error(`no answer within ${this.watch.timeoutMs} ms`))
  }

  private settle(outcome: StoreCallOutcome): void {
    this.isSettled = true
    this.deadline?.cancel()
    this.watch.onCall?.({ operation: this.operation, outcome, durationMs: performance.now() - this.startedAt })
  }
}

function begun<T>(start: () => Promise<T>): Promise<T> {
  try {
    return start()
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)))
  }
}

function found(record: StoredRecord | undefined): StoreCallOutcome {
  return record ? 'hit' : 'absent'
}

function written({ outcome }: WriteOutcome): StoreCallOutcome {
  return outcome
}

function ok(): StoreCallOutcome {
  return 'ok'
}
