import { startLoadGenerator } from './load.ts'
import { describeMachine } from './machine.ts'
import { prove, writtenSoFar, type ProvenTarget } from './prove.ts'
import { reportOf, type Report } from './report.ts'
import { measureRounds, type RoundOptions, type Sample } from './rounds.ts'
import { targetsNamed, type Target } from './targets.ts'
import { startWorld } from './world.ts'

export interface BenchOptions extends RoundOptions {
  /** Ids of the targets to run (see targets.ts); all of the table without it. */
  readonly only?: readonly string[]
}

/** What the run tells while it goes on. */
export interface BenchEvents {
  proven(target: Target): void
  sampled(round: number, id: string, sample: Sample): void
}

/**
 * Starts every target in a process of its own, proves that each answers correctly, measures them in interleaved rounds, and
 * proves afterwards that what was written under load was stored.
 * @throws MissingError when a server or the build is missing; AssertionError when a target answers wrongly.
 */
export async function runBench(options: BenchOptions, events: Partial<BenchEvents> = {}): Promise<Report> {
  const targets = targetsNamed(options.only)
  const machine = describeMachine()
  const world = await startWorld({ redis: targets.some(({ needsRedis }) => needsRedis) })
  const load = await startLoadGenerator()
  try {
    const subjects: (ProvenTarget & { id: string, url: string, pid: number | undefined })[] = []
    for (const target of targets) {
      const started = await target.start(world)
      const proven = await prove(target, started, options.connections)
      events.proven?.(target)
      subjects.push({ ...proven, id: target.id, url: started.server.url, pid: target.isProxy ? started.server.pid : undefined })
    }

    const writtenBefore = await writtenSoFar(world.upstreamUrl)
    const measured = await measureRounds(
      subjects.map(({ id, url, pid, ...proven }) => ({ id, url, pid, proven, status: 200 })), load, options,
      (round, id, sample) => events.sampled?.(round, id, sample),
    )
    for (const subject of subjects) await subject.checkWritten(writtenBefore)

    return reportOf(measured, new Map(targets.map(({ id, label }) => [id, label])), machine, options)
  } finally {
    await load.stop()
    await world.stop()
  }
}
