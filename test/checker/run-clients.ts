import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpClient, HttpReply } from '../support/http-client.ts'
import { CREATOR, OPERATION, type Operation } from './app.ts'
import { SessionHistory, type Observation, type Seen, type Violation } from './history.ts'

export interface RunOptions {
  /** One client of each gateway under test. */
  readonly gateways: readonly HttpClient[]
  /** Acknowledged operations after which the run ends. */
  readonly operations: number
  readonly sessions?: number
  readonly clientsPerSession?: number
  /** How often of a hundred operations a session is rotated, and ended. */
  readonly rotatePercent?: number
  readonly destroyPercent?: number
  /** What must have happened as well before the run may end. */
  readonly isEnough?: (summary: Summary) => boolean
  /** Called before the final reads: all faults must be over then. */
  readonly settle: () => Promise<void>
  /** Looks at each session as soon as it has ended, and stops at the first violation. For planted flaws, without faults. */
  readonly untilViolation?: boolean
}

export interface Summary {
  acknowledged: number
  refused: number
  unknown: number
  sessions: number
  rotations: number
  logouts: number
  /** Sessions given up because the outcome of a rotation or a logout was unknown. */
  strayed: number
  readonly violations: Violation[]
}

/** One session and the cookie by which the world knows it just now. */
interface Shared {
  readonly history: SessionHistory
  cookie: string
  isEnding: boolean
  /** A rotation or a logout was answered with "unknown": perhaps nobody can find it any more. */
  isStray: boolean
}

const PAUSE_MS = 5
const GIVE_UP_MS = 30_000

/** Clients doing read-modify-write on shared sessions through all gateways at once, each answer checked. */
export async function runClients(options: RunOptions): Promise<Summary> {
  const { gateways, operations, sessions = 6, clientsPerSession = 3, rotatePercent = 3, destroyPercent = 0.5, isEnough = () => true } = options
  const summary: Summary = { acknowledged: 0, refused: 0, unknown: 0, sessions: 0, rotations: 0, logouts: 0, strayed: 0, violations: [] }
  const live = new Set<Shared>()
  const ended: Shared[] = []
  let turn = 0
  const isFound = (): boolean => summary.violations.length > 0 || [...live].some(({ history }) => history.violations.length + history.forks.length > 0)
  const isOver = (): boolean => (summary.acknowledged >= operations && isEnough(summary)) || (options.untilViolation === true && isFound())

  async function send(shared: Shared | undefined, operation: Operation, gateway = gateways[turn++ % gateways.length] as HttpClient): Promise<{ observation: Observation; reply: HttpReply }> {
    const startedAt = performance.now()
    const headers = { [OPERATION]: JSON.stringify(operation), ...(shared ? { cookie: `sid=${shared.cookie}` } : {}) }
    const reply = await gateway.get('/', { anonymous: true, headers })
    const observation = { startedAt, endedAt: performance.now(), outcome: outcomeOf(reply), seen: reply.status === 200 ? reply.json<Seen>() : undefined }
    summary[observation.outcome]++
    shared?.history.observe(observation)
    if (observation.outcome === 'unknown') await sleep(PAUSE_MS)
    return { observation, reply }
  }

  async function create(): Promise<Shared> {
    const deadline = performance.now() + GIVE_UP_MS
    for (;;) {
      const { reply } = await send(undefined, { kind: 'own', client: CREATOR, value: 1 })
      const cookie = cookieIn(reply)
      if (cookie !== undefined) {
        summary.sessions++
        const shared = { history: new SessionHistory(), cookie, isEnding: false, isStray: false }
        shared.history.own({ startedAt: 0, endedAt: 0, outcome: 'acknowledged', seen: undefined }, CREATOR, 1)
        return shared
      }
      if (performance.now() > deadline) throw new Error(`no session can be made: ${reply.status} ${reply.body}`)
    }
  }

  async function rotate(shared: Shared): Promise<void> {
    const { observation, reply } = await send(shared, { kind: 'rotate' })
    const cookie = cookieIn(reply)
    if (cookie !== undefined) {
      shared.cookie = cookie
      summary.rotations++
    } else if (observation.outcome === 'unknown') shared.isStray = true
  }

  /** The others go on meanwhile, so that some of them come too late. */
  async function destroy(shared: Shared): Promise<void> {
    const { observation } = await send(shared, { kind: 'destroy' })
    if (observation.outcome !== 'acknowledged') shared.isStray = true
    // A logout by an id that had been rotated away meanwhile ended nothing; the next one will.
    else if (!observation.seen?.isNew && !shared.isEnding) {
      shared.isEnding = true
      shared.history.destroyed(observation)
      summary.logouts++
    }
  }

  async function step(shared: Shared, client: string, value: number): Promise<void> {
    const dice = Math.random() * 100
    if (dice < destroyPercent) return destroy(shared)
    if (dice < destroyPercent + rotatePercent) return rotate(shared)
    if (dice < 40) {
      const { observation } = await send(shared, { kind: 'count' })
      if (!observation.seen?.isNew) shared.history.counter(observation)
    } else if (dice < 65) {
      const to = `${client}-${value}`
      const { observation } = await send(shared, { kind: 'register', to })
      if (!observation.seen?.isNew) shared.history.register(observation, to)
    } else if (dice < 90) {
      const { observation } = await send(shared, { kind: 'own', client, value })
      if (!observation.seen?.isNew) shared.history.own(observation, client, value)
    } else await send(shared, { kind: 'read' })
  }

  /** One session after the other, each until it ends or the run is over. */
  async function life(): Promise<void> {
    while (!isOver()) {
      const shared = await create()
      live.add(shared)
      const work = Array.from({ length: clientsPerSession }, async (_, client) => {
        for (let value = 1; !isOver() && !shared.isEnding && !shared.isStray; value++) await step(shared, `c${client}`, value)
      })
      await Promise.all(work)
      live.delete(shared)
      if (options.untilViolation) await conclude(shared)
      else ended.push(shared)
    }
  }

  async function conclude(shared: Shared): Promise<void> {
    if (shared.isStray) summary.strayed++
    const { observation } = await send(shared, { kind: 'read' })
    if (!observation.seen) throw new Error('the final state cannot be read')
    if (!(shared.isStray && observation.seen.isNew)) shared.history.conclude(observation.seen)
    summary.violations.push(...shared.history.violations)
  }

  await Promise.all(Array.from({ length: sessions }, life))
  await options.settle()
  for (const shared of ended) await conclude(shared)
  return summary
}

/** 502 is the gateway's word that nothing was applied; 503 that the store did not say. */
function outcomeOf({ status, body }: HttpReply): Observation['outcome'] {
  if (status === 200) return 'acknowledged'
  if (status === 502 && body.includes('ERR_MUTATION_REFUSED')) return 'refused'
  if (status === 503) return 'unknown'
  throw new Error(`an answer no client should get: ${status} ${body}`)
}

function cookieIn(reply: HttpReply): string | undefined {
  return /^sid=([^;]+)/.exec(reply.header('set-cookie') ?? '')?.[1]
}
