import type { LoadGenerator, LoadRequest } from './load.ts'
import { cpuMicrosOf, peakRssBytesOf } from './proc-stat.ts'
import { rowOf, type Row } from './statistics.ts'

export interface RoundOptions {
  readonly rounds: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
}

/** What is measured: something that can be started anew for each round. */
export interface Subject {
  readonly id: string
  /** Starts a fresh process and proves that it answers correctly. */
  start(): Promise<Running>
}

export interface Running {
  readonly url: string
  /** The process whose CPU counts; undefined: none, as for direct. */
  readonly pid: number | undefined
  /** Request headers of the visitors, dealt out to the connections. */
  readonly visitors: readonly Readonly<Record<string, string>>[]
  /** The status every answer must have. */
  readonly status: number
  /** Proves after the load that what was written under it is stored. */
  check(): Promise<void>
  stop(): Promise<void>
}

/** One target in one stretch of load. `cpuMicros` is per request; undefined where no process is measured. */
export interface Sample {
  readonly cpuMicros: number | undefined
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requests: number
  readonly peakRssBytes: number | undefined
}

/** All stretches of one target; `samples[i]` of every target were taken right after each other, so that ratios compare like with like. */
export interface Measured {
  readonly id: string
  readonly samples: readonly Sample[]
}

/** A round is cut into stretches of load this long: what else a shared machine does changes from one second to the next. */
const SLICE_SECONDS = 0.3
/** Load before each of them that does not count: the connections to the upstream have ended while others had their turn. */
const RAMP_SECONDS = 0.1

/**
 * Measures all subjects in rounds. In each, every subject is a fresh process, since two runs of the same program can differ by a tenth in
 * how they were compiled; it is warmed up first, and then all take turns in short slices, shuffled anew each time, so that whatever else
 * the machine does falls on all alike.
 * @throws Error when any request fails: a number from a broken run is worth nothing.
 */
export async function measureRounds(
  subjects: readonly Subject[], load: LoadGenerator, options: RoundOptions, onRound?: (round: number, row: Row) => void,
): Promise<Measured[]> {
  const samples = new Map<string, Sample[]>(subjects.map(({ id }) => [id, []]))
  for (let round = 1; round <= options.rounds; round++) {
    for (const measured of await measureRound(subjects, load, options)) {
      samples.get(measured.id)!.push(...measured.samples)
      onRound?.(round, rowOf(measured, measured.id))
    }
  }
  return subjects.map(({ id }) => ({ id, samples: samples.get(id)! }))
}

interface Contender {
  readonly id: string
  readonly running: Running
  readonly samples: Sample[]
}

async function measureRound(subjects: readonly Subject[], load: LoadGenerator, options: RoundOptions): Promise<Measured[]> {
  const contenders: Contender[] = []
  try {
    for (const subject of shuffled(subjects)) {
      const running = await subject.start()
      contenders.push({ id: subject.id, running, samples: [] })
      if (options.warmupSeconds > 0) await load.run(requestOf(running, options, options.warmupSeconds))
    }
    const slices = Math.max(1, Math.round(options.seconds / SLICE_SECONDS))
    for (let slice = 0; slice < slices; slice++) {
      for (const one of shuffled(contenders)) one.samples.push(await measureSlice(one, load, options, options.seconds / slices))
    }
    for (const { running } of contenders) await running.check()
    return contenders
  } finally {
    await Promise.all(contenders.map(({ running }) => running.stop()))
  }
}

function requestOf({ url, status, visitors }: Running, { connections }: RoundOptions, seconds: number): LoadRequest {
  return { url, status, connections, headers: visitors, seconds }
}

async function measureSlice({ id, running }: Contender, load: LoadGenerator, options: RoundOptions, seconds: number): Promise<Sample> {
  const { pid } = running
  const cpuMicros = (): number => pid === undefined ? 0 : cpuMicrosOf(pid)
  await load.run(requestOf(running, options, RAMP_SECONDS))
  const before = cpuMicros()
  const { answered, failed, perSecond, p50Ms, p99Ms } = await load.run(requestOf(running, options, seconds))
  if (failed > 0 || answered === 0) throw new Error(`${id}: ${failed} of ${answered} requests failed`)
  return {
    cpuMicros: pid === undefined ? undefined : (cpuMicros() - before) / answered,
    perSecond, p50Ms, p99Ms, requests: answered,
    peakRssBytes: pid === undefined ? undefined : peakRssBytesOf(pid),
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((one, other) => one.at - other.at).map(({ item }) => item)
}
