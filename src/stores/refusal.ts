/**
 * The backend answered, and the answer was no: full, read-only, not permitted, a value of another kind under the key.
 * Always the `cause` of a StoreUnavailableError. It tells a circuit breaker that the backend is alive: one full or corrupt
 * store must fail its own calls, not everybody's.
 */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal'
}

/**
 * A write was sent again because the connection was lost under it, and met another's: that one may have followed ours or come first. Whether
 * ours was stored is unknown, so it must not be called a conflict, from which a caller would conclude that it was not.
 */
export class OutcomeUnknownError extends Error {
  constructor() {
    super('the connection was lost while it was written, and another writer was there since: unknown whether it was stored')
  }
}
