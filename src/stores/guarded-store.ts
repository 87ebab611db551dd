import { StoreUnavailableError } from '../errors.ts'
import type { Circuit } from './circuit.ts'
import { createCircuit } from './circuit.ts'
import { Deadlines } from './deadlines.ts'
import { StoreRefusal } from './refusal.ts'
import type { SessionStore, WriteOutcome } from './store.ts'

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
  const deadlines = timeoutMs === undefined ? undefined : new Deadlines(timeoutMs)
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
    const running = new Running(operation, outcomeOf, circuit, store.kind, onCall)
    const answered = begun(start)
    if (!deadlines) return answered.then((value) => running.succeeded(value), (error: unknown) => Promise.reject(running.failed(error)))
    return new Promise((resolve, reject) => {
      const deadline = deadlines.start(() => reject(running.failed(new Error(`no answer within ${timeoutMs} ms`))))
      answered.then((value) => {
        if (running.isSettled) return
        deadline.cancel()
        resolve(running.succeeded(value))
      }, (error: unknown) => {
        if (running.isSettled) return
        deadline.cancel()
        reject(running.failed(error))
      })
    })
  }

  return {
    kind: store.kind,
    load: (key) => call(circuitOf(key), 'load', () => store.load(key), (record) => record ? 'hit' : 'absent'),
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

/** A call that has not settled: the first to say how it ended decides. */
class Running<T> {
  isSettled = false
  private readonly startedAt = performance.now()

  constructor(
    private readonly operation: StoreOperation,
    private readonly outcomeOf: (value: T) => StoreCallOutcome,
    private readonly circuit: Circuit,
    private readonly kind: string,
    private readonly onCall: GuardOptions['onCall'],
  ) {}

  succeeded(value: T): T {
    this.settle(this.outcomeOf(value))
    this.circuit.succeed()
    return value
  }

  failed(error: unknown): StoreUnavailableError {
    this.settle('unavailable')
    const unavailable = error instanceof StoreUnavailableError ? error : new StoreUnavailableError(this.kind, this.operation, error)
    if (unavailable.cause instanceof StoreRefusal) this.circuit.succeed()         // it said no, but it did answer
    else this.circuit.fail()
    return unavailable
  }

  private settle(outcome: StoreCallOutcome): void {
    this.isSettled = true
    this.onCall?.({ operation: this.operation, outcome, durationMs: performance.now() - this.startedAt })
  }
}

function begun<T>(start: () => Promise<T>): Promise<T> {
  try {
    return start()
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)))
  }
}

function written({ outcome }: WriteOutcome): StoreCallOutcome {
  return outcome
}

function ok(): StoreCallOutcome {
  return 'ok'
}
