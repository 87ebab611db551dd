import type { LoadGenerator } from './load.ts'
import { cpuMicrosOf, peakRssBytesOf } from './proc-stat.ts'
import type { ProvenTarget } from './prove.ts'

export interface RoundOptions {
  readonly rounds: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
}

/** What is measured: a proven target, and the process whose CPU counts (undefined: none, as for direct). */
export interface Subject {
  readonly id: string
  readonly url: string
  readonly pid: number | undefined
  readonly proven: Pick<ProvenTarget, 'path' | 'visitors'>
  /** The status every answer must have. */
  readonly status: number
}

/** One target in one round. `cpuMicros` is per request; undefined where no process is measured. */
export interface Sample {
  readonly cpuMicros: number | undefined
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requests: number
}

/** All rounds of one target; `samples[i]` is round i of every target, so that ratios compare like with like. */
export interface Measured {
  readonly id: string
  readonly samples: readonly Sample[]
  readonly peakRssBytes: number | undefined
}

/**
 * Measures all subjects in interleaved rounds (A B C, then C A B: shuffled anew each round), so that whatever else the machine
 * does falls on all alike. Each stretch begins with a warm-up that does not count.
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
  return subjects.map(({ id, pid }) => ({ id, samples: samples.get(id)!, peakRssBytes: pid === undefined ? undefined : peakRssBytesOf(pid) }))
}

async function measure(subject: Subject, load: LoadGenerator, options: RoundOptions): Promise<Sample> {
  const request = { url: subject.url + subject.proven.path, connections: options.connections, status: subject.status, headers: subject.proven.visitors }
  if (options.warmupSeconds > 0) await load.run({ ...request, seconds: options.warmupSeconds })

  const before = subject.pid === undefined ? 0 : cpuMicrosOf(subject.pid)
  const result = await load.run({ ...request, seconds: options.seconds })
  const used = subject.pid === undefined ? undefined : cpuMicrosOf(subject.pid) - before

  if (result.failed > 0 || result.answered === 0) throw new Error(`${subject.id}: ${result.failed} of ${result.answered} requests failed`)
  const { perSecond, p50Ms, p99Ms, answered: requests } = result
  return { cpuMicros: used === undefined ? undefined : used / requests, perSecond, p50Ms, p99Ms, requests }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((one, other) => one.at - other.at).map(({ item }) => item)
}
