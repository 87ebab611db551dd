import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describeNew, openDescriptors, residentBytes } from './process-health.ts'
import type { ChildHandle } from './processes.ts'

const MEGABYTE = 1024 * 1024
const EVENTS = ['unhandledRejection', 'uncaughtException'] as const

export interface OracleOptions {
  /** Descriptors that may stay open beyond the baseline. Default 0. */
  readonly extraDescriptors?: number
  /** Growth of the heap (of resident memory, for a child) that is no leak. Default 16 MB, 64 MB for a child. */
  readonly growthBytes?: number
  /** How long descriptors and memory may take to come back. Default 3 s. */
  readonly settleMs?: number
  /** Warnings (or a child's stderr lines) that are expected. */
  readonly ignore?: RegExp
}

export interface CrashOracle extends Disposable {
  /** What went wrong so far, one line each. */
  readonly findings: readonly string[]
  /** Rejects with every finding, a leak of descriptors or memory included; on success the watch goes on from the same baseline. */
  assertClean(): Promise<void>
  /** Ends the watch. Throws findings that no `assertClean` has reported. */
  [Symbol.dispose](): void
}

/**
 * Watches this process from now on. It takes over the handlers of unhandled rejections and uncaught exceptions until it is
 * disposed, so that a fault is blamed on the case that made it. One at a time.
 */
export function watchCrashes(options: OracleOptions = {}): CrashOracle {
  const { extraDescriptors = 0, growthBytes = 16 * MEGABYTE, settleMs = 3_000, ignore } = options
  const findings: string[] = []
  const handlers = EVENTS.map((event) => takeOver(event, (error) => { findings.push(`${event}: ${textOf(error)}`) }))
  const onWarning = (warning: Error): void => {
    const text = `warning: ${warning.name}: ${warning.message}`
    if (!ignore?.test(text)) findings.push(text)
  }
  process.on('warning', onWarning)
  const baseline = { descriptors: openDescriptors(), heapBytes: heapBytes() }

  return {
    findings,
    async assertClean() {
      await turnsOfTheLoop()
      const leaks = await settle(settleMs, () => [
        ...descriptorLeak(baseline.descriptors, openDescriptors(), extraDescriptors, 'self'),
        ...growth('the heap', baseline.heapBytes, heapBytes(), growthBytes),
      ])
      report([...findings.splice(0), ...leaks])
    },
    [Symbol.dispose]() {
      process.off('warning', onWarning)
      for (const giveBack of handlers) giveBack()
      report(findings.splice(0))
    },
  }
}

/** Node says these on stderr of a process that is about to die or that leaks. */
const ALARMS = /UnhandledPromiseRejection|Uncaught|triggerUncaughtException|MaxListenersExceeded|DeprecationWarning|FATAL ERROR|Maximum call stack/

/** The same for a child: alive, silent about faults on stderr, descriptors and resident memory back at what they are now. */
export function watchChild(child: ChildHandle, options: OracleOptions = {}): CrashOracle {
  const { extraDescriptors = 0, growthBytes = 64 * MEGABYTE, settleMs = 3_000, ignore } = options
  const baseline = { descriptors: openDescriptors(child.pid), bytes: residentBytes(child.pid) }
  let seenLines = child.stderrLines.length
  const alarms = (): string[] => {
    const fresh = child.stderrLines.slice(seenLines)
    seenLines += fresh.length
    return fresh.filter((line) => ALARMS.test(line) && !ignore?.test(line)).map((line) => `stderr: ${line}`)
  }
  const isGone = (): boolean => child.exit !== undefined
  const death = (): string[] => !isGone() ? [] : [`process ${child.pid} ended: ${JSON.stringify(child.exit)}; its last words:`, ...child.stderrLines.slice(-20)]

  return {
    get findings() { return death() },
    async assertClean() {
      const leaks = await settle(settleMs, () => isGone() ? [] : [
        ...descriptorLeak(baseline.descriptors, openDescriptors(child.pid), extraDescriptors, child.pid),
        ...growth(`resident memory of ${child.pid}`, baseline.bytes, residentBytes(child.pid), growthBytes),
      ])
      report(isGone() ? death() : [...leaks, ...alarms()])
    },
    [Symbol.dispose]() { report(alarms()) },
  }
}

/** Bytes of live heap, after a full collection. */
export function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Bytes of live heap, and of what it holds outside it, after a full collection. */
export function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Twice: V8 sweeps the memory of dead buffers beside the program, and has surely ended that only when it collects anew. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
}

function takeOver(event: typeof EVENTS[number], handler: (error: unknown) => void): () => void {
  const others = process.listeners(event as 'uncaughtException')
  process.removeAllListeners(event)
  process.on(event, handler)
  return () => {
    process.off(event, handler)
    for (const other of others) process.on(event as 'uncaughtException', other)
  }
}

/** Unhandled rejections are announced after the microtasks, warnings one turn later. */
async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => { setImmediate(resolve) })
}

/** The leaks that are still there after `settleMs`; none as soon as there are none. */
async function settle(settleMs: number, leaks: () => string[]): Promise<string[]> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const found = leaks()
    if (found.length === 0 || performance.now() >= deadline) return found
    await sleep(20)
  }
}

function descriptorLeak(before: Map<string, string>, after: Map<string, string>, extra: number, pid: number | 'self'): string[] {
  if (after.size === 0) return [`process ${pid} has no descriptors: it is ending`]
  if (after.size <= before.size + extra) return []
  return [`${after.size - before.size} more open descriptors than before: ${describeNew(before, after, pid).join(', ')}`]
}

function growth(what: string, before: number, after: number, allowed: number): string[] {
  return after - before <= allowed ? [] : [`${what} grew by ${((after - before) / MEGABYTE).toFixed(1)} MB`]
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error)
}

function report(findings: readonly string[]): void {
  if (findings.length > 0) throw new Error(`not clean:\n${findings.join('\n')}`)
}
