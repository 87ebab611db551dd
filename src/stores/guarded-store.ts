import { StoreUnavailableError } from '../errors.ts'
import { createCircuit } from './circuit.ts'
import { createDeadlines } from './deadlines.ts'
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
 * effect: its outcome is unknown, and repeating it is safe.
 */
export function guardStore(store: SessionStore, options: GuardOptions = {}): SessionStore {
  const { timeoutMs, failureThreshold = 5, onCall } = options
  const deadlines = timeoutMs === undefined ? undefined : createDeadlines(timeoutMs)
  const circuit = createCircuit({
    threshold: timeoutMs === undefined ? Number.POSITIVE_INFINITY : failureThreshold,
    probe: () => settle('ping', store.ping.bind(store), ok),
  })

  function call<T>(operation: StoreOperation, start: () => Promise<T>, outcomeOf: (value: T) => StoreCallOutcome): Promise<T> {
    if (!circuit.isOpen()) return settle(operation, start, outcomeOf)
    onCall?.({ operation, outcome: 'unavailable', durationMs: 0 })
    return Promise.reject(new StoreUnavailableError(store.kind, operation, new Error('it did not answer lately; probing it')))
  }

  function settle<T>(operation: StoreOperation, start: () => Promise<T>, outcomeOf: (value: T) => StoreCallOutcome): Promise<T> {
    const startedAt = performance.now()
    return new Promise((resolve, reject) => {
      let settled = false
      const observe = (outcome: StoreCallOutcome) => {
        settled = true
        onCall?.({ operation, outcome, durationMs: performance.now() - startedAt })
      }
      const fail = (error: unknown) => {
        if (settled) return
        deadline?.cancel()
        observe('unavailable')
        const unavailable = error instanceof StoreUnavailableError ? error : new StoreUnavailableError(store.kind, operation, error)
        if (unavailable.cause instanceof StoreRefusal) circuit.succeed()     // it said no, but it did answer
        else circuit.fail()
        reject(unavailable)
      }
      const deadline = deadlines?.start(() => fail(new Error(`no answer within ${timeoutMs} ms`)))
      const succeed = (value: T) => {
        if (settled) return
        deadline?.cancel()
        observe(outcomeOf(value))
        circuit.succeed()
        resolve(value)
      }
      try {
        start().then(succeed, fail)
      } catch (error) {
        fail(error)
      }
    })
  }

  return {
    kind: store.kind,
    load: (key) => call('load', () => store.load(key), (record) => record ? 'hit' : 'absent'),
    create: (key, bytes, expiresAt) => call('create', () => store.create(key, bytes, expiresAt), written),
    replace: (key, expected, bytes, expiresAt) => call('replace', () => store.replace(key, expected, bytes, expiresAt), written),
    touch: (key, expiresAt) => call('touch', () => store.touch(key, expiresAt), ok),
    destroy: (key, tombstoneUntil) => call('destroy', () => store.destroy(key, tombstoneUntil), ok),
    ...(store.scan && { scan: (cursor, limit) => call('scan', () => store.scan!(cursor, limit), ok) }),
    ping: () => settle('ping', () => store.ping(), ok),
    close() {
      circuit.stop()
      return store.close()
    },
  }
}

function written({ outcome }: WriteOutcome): StoreCallOutcome {
  return outcome
}

function ok(): StoreCallOutcome {
  return 'ok'
}
