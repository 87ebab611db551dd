const MIN_CONNECT_TIMEOUT_MS = 1_000

/** How long a connection may take to open, ms: at least a second, however soon the calls that wait for it give up, since the next ones use it. */
export function connectTimeoutOf(timeoutMs: number): number {
  return Math.max(timeoutMs, MIN_CONNECT_TIMEOUT_MS)
}
