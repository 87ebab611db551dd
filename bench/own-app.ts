import { planOwnGateway, SEED_MOUNT } from './gateway-config.ts'
import { startLoadGenerator } from './load.ts'
import { describeMachine } from './machine.ts'
import { prove } from './prove.ts'
import { reportOf, type Report } from './report.ts'
import { measureRounds, type RoundOptions, type Sample, type Subject } from './rounds.ts'
import type { Target } from './targets.ts'
import { startWorld, type World } from './world.ts'

export interface OwnBenchOptions extends RoundOptions {
  /** Origin of the application, such as http://127.0.0.1:5000. */
  readonly upstream: string
  /** What is asked of it with GET. */
  readonly path: string
}

/**
 * The cost of standing in front of a user's own application: direct, bare http-proxy, sessiongate without and with a session
 * (read, store in memory). Nothing is assumed of the answer but that its status stays the same.
 * @throws Error when the application cannot be reached, or answers with another status through a proxy than without.
 */
export async function runOwnBench(options: OwnBenchOptions, onSample?: (round: number, id: string, sample: Sample) => void): Promise<Report> {
  const machine = describeMachine()
  const world = await startWorld({ redis: false })
  const load = await startLoadGenerator()
  try {
    const subjects = await startSubjects(world, options)
    const status = await commonStatus(subjects, options)
    const measured = await measureRounds(subjects.map((subject) => ({ ...subject, status })), load, options, (round, id, sample) => onSample?.(round, id, sample))
    return reportOf(measured, LABELS, machine, options)
  } finally {
    await load.stop()
    await world.stop()
  }
}

const LABELS = new Map([
  ['direct', 'direct, no proxy'],
  ['http-proxy', 'bare http-proxy 1.18.1'],
  ['gate-none', 'sessiongate, without session'],
  ['gate-memory-read', 'sessiongate, memory, session read'],
])

async function startSubjects(world: World, { upstream, path, connections }: OwnBenchOptions): Promise<Omit<Subject, 'status'>[]> {
  const visitor = { path, visitors: [{ cookie: `visitor=${'x'.repeat(88)}` }] }
  const bare = await world.startServer('targets/http-proxy', { upstream })
  const without = await world.startGateway('gate-none', planOwnGateway(world, 'gate-none', 'none', upstream).config)

  const plan = planOwnGateway(world, 'gate-memory-read', 'use', upstream)
  const server = await world.startGateway('gate-memory-read', plan.config)
  const reading: Pick<Target, 'session' | 'isProxy'> = { session: 'read', isProxy: true }
  const { visitors } = await prove(reading, { server, view: { kind: 'signed', key: plan.verifyKey } }, connections, SEED_MOUNT)

  return [
    { id: 'direct', url: upstream, pid: undefined, proven: visitor },
    { id: 'http-proxy', ...bare, proven: visitor },
    { id: 'gate-none', ...without, proven: visitor },
    { id: 'gate-memory-read', ...server, proven: { path, visitors } },
  ]
}

/** The status the application answers with, the same by itself and through every proxy. */
async function commonStatus(subjects: readonly Omit<Subject, 'status'>[], { upstream, path }: OwnBenchOptions): Promise<number> {
  let expected: number | undefined
  for (const { id, url, proven } of subjects) {
    const response = await fetch(url + path, { headers: proven.visitors[0]!, redirect: 'manual' }).catch((error: unknown) => {
      throw new Error(`${upstream} cannot be reached (${id})`, { cause: error })
    })
    await response.arrayBuffer()
    expected ??= response.status
    if (response.status !== expected) throw new Error(`${upstream}${path} answers ${expected} by itself, but ${response.status} through ${id}`)
  }
  return expected ?? 0
}
