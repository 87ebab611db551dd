export interface CircuitOptions {
  /** Failures in a row that open the circuit. */
  readonly threshold: number
  /** Asks the backend whether it serves again; called while the circuit is open. */
  readonly probe: () => Promise<void>
}

/** Spares callers the wait for a backend that is known to be away. */
export interface Circuit {
  /** While true, do not call: fail at once. */
  isOpen(): boolean
  succeed(): void
  fail(): void
  stop(): void
}

const FIRST_PROBE_MS = 50
const LAST_PROBE_MS = 500

/**
 * Opens after `threshold` failures in a row. While open, the circuit itself probes the backend, at growing intervals of at most
 * half a second, and closes when a probe succeeds: no user's request is spent on finding out.
 */
export function createCircuit({ threshold, probe }: CircuitOptions): Circuit {
  let failures = 0
  let open = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  function probeIn(delayMs: number): void {
    if (stopped) return
    timer = setTimeout(() => {
      probe().then(succeed, () => { if (open) probeIn(Math.min(2 * delayMs, LAST_PROBE_MS)) })
    }, delayMs).unref()
  }

  function succeed(): void {
    failures = 0
    if (!open) return
    open = false
    clearTimeout(timer)
  }

  return {
    isOpen: () => open,
    succeed,
    fail() {
      failures++
      if (open || failures < threshold) return
      open = true
      probeIn(FIRST_PROBE_MS)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
