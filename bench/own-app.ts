import { planOwnGateway, SEED_MOUNT } from './gateway-config.ts'
import { startLoadGenerator } from './load.ts'
import { describeMachine } from './machine.ts'
import { prove } from './prove.ts'
import { reportOf, type Report } from './report.ts'
import { measureRounds, type RoundOptions, type Running, type Subject } from './rounds.ts'
import type { Row } from './statistics.ts'
import { startWorld, type World } from './world.ts'

export interface OwnBenchOptions extends RoundOptions {
  /** Origin of the application, such as http://127.0.0.1:5000. */
  readonly upstream: string
  /** What is asked of it with GET. */
  readonly path: string
}

const LABELS = new Map([
  ['direct', 'direct, no proxy'],
  ['http-proxy', 'bare http-proxy 1.18.1'],
  ['gate-none', 'sessiongate, without session'],
  ['gate-memory-read', 'sessiongate, memory, session read'],
])

/**
 * The cost of standing in front of a user's own application: direct, bare http-proxy, sessiongate without and with a session
 * (read, store in memory). Nothing is assumed of the answer but that its status stays the same.
 * @throws Error when the application cannot be reached, or answers with another status through a proxy than without.
 */
export async function runOwnBench(options: OwnBenchOptions, onRound?: (round: number, row: Row) => void): Promise<Report> {
  const machine = describeMachine()
  const status = await statusOf(options.upstream + options.path)
  const world = await startWorld({ redis: false })
  const load = await startLoadGenerator()
  try {
    const measured = await measureRounds(ownSubjects(world, options, status), load, options, onRound)
    return reportOf(measured, LABELS, machine, options)
  } finally {
    await load.stop()
    await world.stop()
  }
}

function ownSubjects(world: World, { upstream, path, connections }: OwnBenchOptions, status: number): Subject[] {
  const visitors = [{ cookie: `visitor=${'x'.repeat(88)}` }]
  const common = { visitors, status, check: async () => {} }

  async function proven(id: string, running: Running): Promise<Running> {
    const through = await statusOf(running.url, running.visitors[0])
    if (through === status) return running
    await running.stop()
    throw new Error(`${upstream}${path} answers ${status} by itself, but ${through} through ${id}`)
  }

  return [
    { id: 'direct', start: async () => ({ ...common, url: upstream + path, pid: undefined, stop: async () => {} }) },
    {
      id: 'http-proxy',
      start: async () => {
        const server = await world.startServer('targets/http-proxy', { upstream })
        return proven('http-proxy', { ...common, ...server, url: server.url + path })
      },
    },
    {
      id: 'gate-none',
      start: async () => {
        const server = await world.startGateway('gate-none', planOwnGateway(world, 'gate-none', 'none', upstream).config)
        return proven('sessiongate', { ...common, ...server, url: server.url + path })
      },
    },
    {
      id: 'gate-memory-read',
      start: async () => {
        const plan = planOwnGateway(world, 'gate-memory-read', 'use', upstream)
        const server = await world.startGateway('gate-memory-read', plan.config)
        const started = { server, view: { kind: 'signed', key: plan.verifyKey } as const }
        const sessions = await prove({ session: 'read', isProxy: true }, started, connections, SEED_MOUNT)
        return proven('sessiongate', { ...common, ...server, url: server.url + path, visitors: sessions.visitors })
      },
    },
  ]
}

async function statusOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const response = await fetch(url, { headers, redirect: 'manual' }).catch((error: unknown) => {
    throw new Error(`${url} cannot be reached`, { cause: error })
  })
  await response.arrayBuffer()
  return response.status
}
