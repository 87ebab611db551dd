import type { LoadGenerator } from './load.ts'
import { cpuMicrosOf, peakRssBytesOf } from './proc-stat.ts'

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

/**
 * Measures all subjects in interleaved rounds (A B C, then C A B: shuffled anew each round), so that whatever else the machine
 * does falls on all alike. Each stretch is a process of its own, since two runs of the same program can differ by a tenth in how
 * they were compiled, and begins with a warm-up that does not count.
 * @throws Error when any request fails: a number from a broken run is worth nothing.
 */
export async function measureRounds(
  subjects: readonly Subject[], load: LoadGenerator, options: RoundOptions, onSample: (round: number, id: string, sample: Sample) => void,
): Promise<Measured[]> {
  const samples = new Map<string, Sample[]>(subjects.map(({ id }) => [id, []]))
  for (let round = 1; round <= options.rounds; round++) {
    for (const subject of shuffled(subjects)) {
      const sample = await measure(subject, load, options)
      samples.get(subject.id)!.push(sample)
      onSample(round, subject.id, sample)
    }
  }
  return subjects.map(({ id }) => ({ id, samples: samples.get(id)! }))
}

async function measure(subject: Subject, load: LoadGenerator, options: RoundOptions): Promise<Sample> {
  const running = await subject.start()
  try {
    const { url, pid, status, visitors } = running
    const request = { url, status, connections: options.connections, headers: visitors }
    if (options.warmupSeconds > 0) await load.run({ ...request, seconds: options.warmupSeconds })

    const before = pid === undefined ? 0 : cpuMicrosOf(pid)
    const result = await load.run({ ...request, seconds: options.seconds })
    const used = pid === undefined ? undefined : cpuMicrosOf(pid) - before

    if (result.failed > 0 || result.answered === 0) throw new Error(`${subject.id}: ${result.failed} of ${result.answered} requests failed`)
    await running.check()
    const { perSecond, p50Ms, p99Ms, answered: requests } = result
    const peakRssBytes = pid === undefined ? undefined : peakRssBytesOf(pid)
    return { cpuMicros: used === undefined ? undefined : used / requests, perSecond, p50Ms, p99Ms, requests, peakRssBytes }
  } finally {
    await running.stop()
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((one, other) => one.at - other.at).map(({ item }) => item)
}
