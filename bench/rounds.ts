import type { LoadGenerator, LoadRequest, LoadResult } from './load.ts'
import { cpuMicrosOf, peakRssBytesOf } from './proc-stat.ts'
import { median } from './statistics.ts'

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

/** One target in one round. `cpuMicros` is per request; undefined where no process is measured. */
export interface Sample {
  readonly cpuMicros: number | undefined
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requests: number
  readonly peakRssBytes: number | undefined
}

/** All rounds of one target; `samples[i]` is round i of every target, so that ratios compare like with like. */
export interface Measured {
  readonly id: string
  readonly samples: readonly Sample[]
}

/** Stretches of load a round is cut into. */
const SLICES = 4
/** Load before each of them that does not count: the connections to the upstream have ended while others had their turn. */
const RAMP_SECONDS = 0.1

/**
 * Measures all subjects in rounds. In each, every subject is a fresh process, since two runs of the same program can differ by a tenth in
 * how they were compiled; it is warmed up first, and then all take turns in short slices, shuffled anew each time, so that whatever else
 * the machine does falls on all alike.
 * @throws Error when any request fails: a number from a broken run is worth nothing.
 */
export async function measureRounds(
  subjects: readonly Subject[], load: LoadGenerator, options: RoundOptions, onSample: (round: number, id: string, sample: Sample) => void,
): Promise<Measured[]> {
  const samples = new Map<string, Sample[]>(subjects.map(({ id }) => [id, []]))
  for (let round = 1; round <= options.rounds; round++) {
    for (const { id, sample } of await measureRound(subjects, load, options)) {
      samples.get(id)!.push(sample)
      onSample(round, id, sample)
    }
  }
  return subjects.map(({ id }) => ({ id, samples: samples.get(id)! }))
}

interface Contender {
  readonly id: string
  readonly running: Running
  readonly slices: Slice[]
}

interface Slice {
  readonly cpuMicros: number
  readonly seconds: number
  readonly load: LoadResult
}

async function measureRound(subjects: readonly Subject[], load: LoadGenerator, options: RoundOptions): Promise<{ id: string, sample: Sample }[]> {
  const contenders: Contender[] = []
  try {
    for (const subject of shuffled(subjects)) {
      const running = await subject.start()
      contenders.push({ id: subject.id, running, slices: [] })
      if (options.warmupSeconds > 0) await load.run(requestOf(running, options, options.warmupSeconds))
    }
    for (let slice = 0; slice < SLICES; slice++) {
      for (const one of shuffled(contenders)) one.slices.push(await measureSlice(one, load, options))
    }
    for (const { running } of contenders) await running.check()
    return contenders.map((one) => ({ id: one.id, sample: sampleOf(one) }))
  } finally {
    await Promise.all(contenders.map(({ running }) => running.stop()))
  }
}

function requestOf({ url, status, visitors }: Running, { connections }: RoundOptions, seconds: number): LoadRequest {
  return { url, status, connections, headers: visitors, seconds }
}

async function measureSlice({ id, running }: Contender, load: LoadGenerator, options: RoundOptions): Promise<Slice> {
  const seconds = options.seconds / SLICES
  const cpuMicros = (): number => running.pid === undefined ? 0 : cpuMicrosOf(running.pid)
  await load.run(requestOf(running, options, RAMP_SECONDS))
  const before = cpuMicros()
  const result = await load.run(requestOf(running, options, seconds))
  if (result.failed > 0 || result.answered === 0) throw new Error(`${id}: ${result.failed} of ${result.answered} requests failed`)
  return { cpuMicros: cpuMicros() - before, seconds: result.answered / result.perSecond, load: result }
}

/** CPU and throughput over all slices; of the latencies, the median slice's. */
function sampleOf({ running: { pid }, slices }: Contender): Sample {
  const sum = (value: (slice: Slice) => number): number => slices.reduce((total, slice) => total + value(slice), 0)
  const requests = sum(({ load }) => load.answered)
  return {
    cpuMicros: pid === undefined ? undefined : sum(({ cpuMicros }) => cpuMicros) / requests,
    perSecond: requests / sum(({ seconds }) => seconds),
    p50Ms: median(slices.map(({ load }) => load.p50Ms)),
    p99Ms: median(slices.map(({ load }) => load.p99Ms)),
    requests,
    peakRssBytes: pid === undefined ? undefined : peakRssBytesOf(pid),
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((one, other) => one.at - other.at).map(({ item }) => item)
}
