import type { StoreConfig } from './gateway-config.ts'
import { startLoadGenerator } from './load.ts'
import { describeMachine } from './machine.ts'
import { prove, writtenSoFar } from './prove.ts'
import { reportOf, type Report } from './report.ts'
import { measureRounds, type RoundOptions, type Running } from './rounds.ts'
import type { Row } from './statistics.ts'
import { targetsNamed, targetsOn, type Target } from './targets.ts'
import { startWorld, type World } from './world.ts'

export interface BenchOptions extends RoundOptions {
  /** Ids of the targets to run (see targets.ts); all of the table without it. */
  readonly only?: readonly string[]
  /** Stores that run already: each adds a row that reads and one that writes. */
  readonly stores?: readonly StoreConfig[]
}

/**
 * In each round and for each target: starts it in a process of its own, proves that it answers correctly, measures it, and proves
 * that what was written under load was stored.
 * @throws MissingError when a server or the build is missing; AssertionError when a target answers wrongly.
 */
export async function runBench(options: BenchOptions, onRound?: (round: number, row: Row) => void): Promise<Report> {
  const targets = [...targetsNamed(options.only), ...(options.stores ?? []).flatMap(targetsOn)]
  const machine = describeMachine()
  const world = await startWorld({ redis: targets.some(({ needsRedis }) => needsRedis) })
  const load = await startLoadGenerator()
  try {
    const subjects = targets.map((target) => ({ id: target.id, start: () => startProven(target, world, options.connections) }))
    const measured = await measureRounds(subjects, load, options, onRound)
    return reportOf(measured, new Map(targets.map(({ id, label }) => [id, label])), machine, options)
  } finally {
    await load.stop()
    await world.stop()
  }
}

async function startProven(target: Target, world: World, connections: number): Promise<Running> {
  const started = await target.start(world)
  const { server } = started
  try {
    const proven = await prove(target, started, connections)
    const writtenBefore = await writtenSoFar(world.upstream.url)
    return {
      url: server.url + proven.path,
      pid: target.isProxy ? server.pid : undefined,
      visitors: proven.visitors,
      status: 200,
      check: () => proven.checkWritten(writtenBefore),
      stop: () => server.stop(),
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}
