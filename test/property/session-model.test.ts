import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SessionConflictError } from '../../src/errors.ts'
import { mergeObject } from '../../src/session/merge-patch.ts'
import type { JsonObject } from '../../src/session/session.ts'
import type { Committed, Opened } from '../../src/session/sessions.ts'
import { harness, MINUTE, type Harness } from '../support/session-harness.ts'

const IDLE = 30 * MINUTE
const ABSOLUTE = 120 * MINUTE

/** What a session should be, told without records, versions or pointers. */
interface Model {
  data: JsonObject | undefined
  cookie: string
  rotations: number
  usedAt: number
  readonly bornAt: number
  readonly deadCookies: string[]
}

interface InFlight {
  readonly gateway: Harness
  readonly opened: Opened
  /** The session it was opened on and how often that had rotated; undefined when there was none. */
  readonly seen: { readonly model: Model; readonly rotations: number } | undefined
}

interface World {
  readonly gateways: readonly Harness[]
  readonly sessions: Model[]
  readonly inFlight: InFlight[]
}

type Command =
  | { readonly kind: 'open'; readonly session: number; readonly gateway: number; readonly stale: boolean }
  | { readonly kind: 'commit'; readonly request: number; readonly patch: JsonObject | undefined; readonly control: string | undefined }
  | { readonly kind: 'wait'; readonly minutes: number }

const patch = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'user'), fc.oneof(fc.constant(null), fc.nat(3), fc.record({ x: fc.option(fc.nat(3)) })), { maxKeys: 3 }) as fc.Arbitrary<JsonObject>
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), session: fc.nat(3), gateway: fc.nat(1), stale: fc.boolean() }),
  fc.record({ kind: fc.constant('commit' as const), request: fc.nat(9), patch: fc.option(patch, { nil: undefined }), control: fc.constantFrom(undefined, undefined, undefined, 'rotate', 'clear', 'destroy') })
    .filter((one) => one.control !== 'destroy' || one.patch === undefined),
  fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(1, 5, 16, 31) }),
)

function isAlive(model: Model, now: number): boolean {
  return model.data !== undefined && now < model.usedAt + IDLE && now < model.bornAt + ABSOLUTE
}

async function open(world: World, { session, gateway, stale }: Extract<Command, { kind: 'open' }>, now: number): Promise<void> {
  const model = world.sessions[session]
  const at = world.gateways[gateway] as Harness
  const cookie = stale ? model?.deadCookies[0] ?? model?.cookie : model?.cookie
  const opened = await at.open(cookie)
  const expected = model && cookie === model.cookie && isAlive(model, now) ? model : undefined
  expect(opened.loaded?.session.data).toEqual(expected?.data)
  world.inFlight.push({ gateway: at, opened, seen: expected && { model: expected, rotations: expected.rotations } })
}

async function commit(world: World, { request, patch: change, control }: Extract<Command, { kind: 'commit' }>, now: number): Promise<void> {
  const [one] = world.inFlight.splice(request % Math.max(1, world.inFlight.length), 1)
  if (!one) return
  const { gateway, opened, seen } = one
  if (!seen) return expectFresh(world, await gateway.commit(opened, change, control, 'always'), gateway, change, now)

  const { model } = seen
  const isOvertaken = seen.rotations < model.rotations
  const next = change || control === 'clear' ? mergeObject(control === 'clear' ? {} : model.data ?? {}, change ?? {}) : model.data
  const isLogin = JSON.stringify(next?.['user']) !== JSON.stringify(model.data?.['user'])
  if (control === 'destroy') {
    expect(await gateway.commit(opened, undefined, 'destroy')).toEqual({ cookie: { kind: 'clear' }, outcome: 'destroyed' })
    model.data = undefined
  } else if (!change && control === undefined) {
    const committed = await gateway.commit(opened, undefined, undefined, 'always')
    if (isAlive(model, now) && !isOvertaken) model.usedAt = now
    expect(committed.cookie).toEqual({ kind: 'keep' })
  } else if (!isAlive(model, now)) {
    expect(await gateway.commit(opened, change, control)).toEqual({ cookie: { kind: 'keep' }, outcome: 'dropped' })
  } else if (isOvertaken && isLogin && Object.keys(next ?? {}).length > 0) {
    await expect(gateway.commit(opened, change, control)).rejects.toThrow(SessionConflictError)
  } else {
    settle(model, await gateway.commit(opened, change, control), { next, now, gateway, isOvertaken, rotates: (isLogin || control === 'rotate') && !isOvertaken })
  }
}

interface Settling { readonly next: JsonObject | undefined; readonly now: number; readonly gateway: Harness; readonly isOvertaken: boolean; readonly rotates: boolean }

function settle(model: Model, committed: Committed, { next, now, gateway, isOvertaken, rotates }: Settling): void {
  if (Object.keys(next ?? {}).length === 0) {
    expect(committed).toEqual({ cookie: { kind: isOvertaken ? 'keep' : 'clear' }, outcome: 'destroyed' })
    model.data = undefined
    return
  }
  model.data = next
  model.usedAt = now
  expect(committed.outcome).toBe(rotates ? 'rotated' : 'stored')
  if (!rotates) return expect(committed.cookie).toEqual({ kind: 'keep' })
  model.deadCookies.unshift(model.cookie)
  model.cookie = gateway.cookieOf(committed)
  model.rotations++
}

function expectFresh(world: World, committed: Committed, gateway: Harness, change: JsonObject | undefined, now: number): void {
  const data = mergeObject({}, change ?? {})
  if (Object.keys(data).length === 0) return expect(committed.outcome).toBe('none')
  expect(committed.outcome).toBe('created')
  world.sessions.push({ data, cookie: gateway.cookieOf(committed), rotations: 0, usedAt: now, bornAt: now, deadCookies: [] })
}

test('any mix of overlapping requests on two gateways leaves what a plain model says', async () => {
  await fc.assert(fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60, size: 'max' }), async (commands) => {
    const options = { rotateOn: [['user']], policy: { idleMs: IDLE, absoluteMs: ABSOLUTE }, tombstoneMs: 24 * 60 * MINUTE }
    const first = harness(options)
    const world: World = { gateways: [first, harness({ ...options, store: first.store })], sessions: [], inFlight: [] }
    const setClock = (now: number): void => { for (const gateway of world.gateways) gateway.now = now }
    let now = first.now
    await commit(world, { kind: 'commit', request: 0, patch: undefined, control: undefined }, now)
    for (const data of [{ a: 1 }, { b: { x: 1 }, user: 1 }]) expectFresh(world, await first.request(undefined, data), first, data, now)

    for (const one of commands) {
      if (one.kind === 'wait') setClock(now += one.minutes * MINUTE)
      else if (one.kind === 'open') await open(world, one, now)
      else await commit(world, one, now)
    }
    for (const model of world.sessions) {
      expect(await first.dataOf(model.cookie)).toEqual(isAlive(model, now) ? model.data : undefined)
      for (const dead of model.deadCookies) expect(await first.dataOf(dead)).toBeUndefined()
    }
  }), { numRuns: 300 })
})
