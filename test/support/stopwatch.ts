const TICK_MS = 5
/** What a timer is late by on an idle machine. */
const USUAL_MS = 3

let stalledMs = 0
let dueAt = 0
let cpu = process.cpuUsage()
let timer: NodeJS.Timeout | undefined

/** How late the event loop is just now, less what this process has computed meanwhile: that was its own doing. */
function lateness(now: number): number {
  const { user, system } = process.cpuUsage(cpu)
  const lateMs = now - dueAt - (user + system) / 1_000
  return lateMs > USUAL_MS ? lateMs : 0
}

function tick(): void {
  const now = performance.now()
  stalledMs += lateness(now)
  cpu = process.cpuUsage()
  dueAt = now + TICK_MS
  timer = setTimeout(tick, TICK_MS).unref()
}

/**
 * Measures in milliseconds what something takes, without the time for which the machine let this process wait: where others share the
 * cores, every timer comes late by that, and no promise of ours is broken. Time in which this process computed counts in full.
 */
export function startStopwatch(): () => number {
  if (!timer) {
    dueAt = performance.now()
    tick()
  }
  const startedAt = performance.now()
  const stalledBefore = stalledMs + lateness(startedAt)
  return () => {
    const now = performance.now()
    return now - startedAt - (stalledMs + lateness(now) - stalledBefore)
  }
}
