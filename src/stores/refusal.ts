/**
 * The backend answered, and the answer was no: full, read-only, not permitted, a value of another kind under the key.
 * Always the `cause` of a StoreUnavailableError. It tells a circuit breaker that the backend is alive: one full or corrupt
 * store must fail its own calls, not everybody's.
 */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal'
}
