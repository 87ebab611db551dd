export interface BatchSweeperOptions {
  /** Deletes one batch; how many went. */
  readonly sweep: () => Promise<number>
  /** Of a full batch. */
  readonly limit: number
  readonly intervalMs: number
}

const NEXT_BATCH_MS = 50

/**
 * Deletes what has expired in bounded batches: one each interval, the next ones soon after while they come back full. Expiry is enforced by
 * reads, so there is no hurry, and a failure is tried again at the next interval: a sick database shows itself on the calls of users.
 */
export function startBatchSweeper({ sweep, limit, intervalMs }: BatchSweeperOptions): { stop(): void } {
  let isStopped = false
  let timer = schedule(intervalMs * (0.5 + Math.random()))

  function schedule(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      sweep().catch(() => 0).then((removed) => {
        if (!isStopped) timer = schedule(removed === limit ? NEXT_BATCH_MS : intervalMs)
      }, () => undefined)
    }, delayMs).unref()
  }

  return {
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
