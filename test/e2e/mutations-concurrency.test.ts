import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFileStore } from '../../src/stores/file.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import type { HttpClient } from '../support/http-client.ts'
import { counterOf } from '../support/metrics.ts'
import { answerTo, claimsOf, dataOf, encodePatch, obey, order, type Order } from '../support/obedient-app.ts'
import { rawResponse, type RawUpstream, type SeenRequest, type Script } from '../support/raw-upstream.ts'
import { startRedis, type RedisServer } from '../support/servers.ts'
import { startWorld, type World } from '../support/world.ts'

const WRITERS = 64

/** Holds requests that say so until `count` of them stand in the app, so that all were opened at one version. */
function barrier(count: number, answer: (request: SeenRequest) => Buffer): Script {
  let waiting: (() => void)[] = []
  return async (request) => {
    if (request.target.startsWith('/together')) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        if (waiting.length < count) return
        for (const go of waiting) go()
        waiting = []
      })
    }
    return answer(request)
  }
}

/** Patches of `members`, all in flight at once, spread over the gateways. */
async function together(worlds: readonly World[], orders: readonly Order[]): Promise<number[]> {
  const [first] = worlds as [World]
  const answer = barrier(orders.length, (request) => answerTo(JSON.parse(Buffer.from(request.header('x-order') ?? '', 'base64url').toString() || '{}') as Order))
  const seen: RawUpstream[] = worlds.map(({ upstream }) => upstream)
  for (const upstream of seen) upstream.respond(answer)
  const replies = await Promise.all(orders.map((one, i) => order(worlds[i % worlds.length]?.client as HttpClient, one, { path: '/together' })))
  for (const upstream of seen) upstream.respond(obey)
  for (const { client } of worlds) client.jar.store(`sid=${first.client.jar.get('sid')?.value}`)
  return replies.map(({ status }) => status)
}

const writers = (control?: string): Order[] => Array.from({ length: WRITERS }, (_, i) => ({ patch: { [`w${i}`]: i }, ...(control === undefined ? {} : { control }) }))
const everyWriter = Object.fromEntries(Array.from({ length: WRITERS }, (_, i) => [`w${i}`, i]))

/** Gateways in front of one store each or of one shared; every client holds the cookie of the first. */
async function worldsOn(stores: readonly SessionStore[]): Promise<World[] & AsyncDisposable> {
  const worlds = await Promise.all(stores.map((store) => startWorld({ store })))
  for (const world of worlds) world.upstream.respond(obey)
  const [first] = worlds as [World]
  await order(first.client, { patch: { base: 1 } })
  for (const { client } of worlds) client.jar.store(`sid=${first.client.jar.get('sid')?.value}`)
  return Object.assign(worlds, {
    async [Symbol.asyncDispose]() { for (const world of worlds) await world[Symbol.asyncDispose]() },
  })
}

interface Backend extends AsyncDisposable { open(): SessionStore }

const backends: Record<string, () => Promise<Backend>> = {
  memory: async () => ({ open: () => createMemoryStore(), [Symbol.asyncDispose]: async () => {} }),
  file: async () => {
    const path = mkdtempSync(join(tmpdir(), 'sessions-'))
    return { open: () => createFileStore({ path }), [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) }
  },
  redis: async () => {
    const server: RedisServer = await startRedis()
    return { open: () => createRedisStore({ url: server.url, timeoutMs: 5_000 }), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
  },
}

describe.each(Object.keys(backends))('on %s', (kind) => {
  let backend: Backend
  beforeAll(async () => { backend = await (backends[kind] as () => Promise<Backend>)() })
  afterAll(() => backend[Symbol.asyncDispose]())

  /** Two gateways: with their own connections to one store where processes can share it, else around the same one. */
  function pair(): SessionStore[] {
    if (kind === 'redis') return [backend.open(), backend.open()]
    const store = backend.open()
    return [store, { ...store, close: async () => {} }]
  }

  test('MU15 sixty-four parallel patches of different members all survive', async () => {
    await using worlds = await worldsOn([backend.open()])
    expect(await together(worlds, writers())).toEqual(Array(WRITERS).fill(200))
    expect(await dataOf(worlds[0] as World)).toEqual({ base: 1, ...everyWriter })
  })

  test('MU15 through two gateways too, with conflicts met and solved', async () => {
    await using worlds = await worldsOn(pair())
    expect(await together(worlds, writers())).toEqual(Array(WRITERS).fill(200))
    expect(await dataOf(worlds[1] as World)).toEqual({ base: 1, ...everyWriter })
    const conflicts = await Promise.all(worlds.map(({ metrics }) => counterOf(metrics, 'sessiongate_commit_conflicts_total')))
    expect(conflicts[0] as number + (conflicts[1] as number)).toBeGreaterThan(0)
  })

  test('SF4 rotating all at once, through two gateways: one new id, every patch in it, the old id dead', async () => {
    await using worlds = await worldsOn(pair())
    const [one, other] = worlds as unknown as [World, World]
    const old = one.client.jar.get('sid')?.value as string
    expect(await together(worlds, writers('rotate').slice(0, 16))).toEqual(Array(16).fill(200))
    const given = [one, other].map(({ client }) => client.jar.get('sid')?.value).filter((value) => value !== old)
    expect(new Set(given).size).toBe(1)
    for (const { client } of worlds) client.jar.store(`sid=${given[0]}`)
    expect(Object.keys(await dataOf(other) ?? {})).toHaveLength(17)
    one.client.jar.store(`sid=${old}`)
    expect(await dataOf(one)).toBeUndefined()
  })

  test('MU14 a counter read, raised and written with if-version loses no acknowledged step', async () => {
    await using worlds = await worldsOn(pair())
    for (const { upstream } of worlds) upstream.respond(countUp)
    let acknowledged = 0
    const client = async (world: World, steps: number): Promise<void> => {
      for (let done = 0; done < steps;) {
        const { status } = await world.client.get('/count')
        if (status === 200) done++
        if (status === 200) acknowledged++
        else expect(status).toBe(502)
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, i) => client(worlds[i % 2] as World, 8)))
    for (const { upstream } of worlds) upstream.respond(obey)
    expect(acknowledged).toBe(64)
    expect(await dataOf(worlds[0] as World)).toEqual({ base: 1, count: 64 })
  })
})

/** An app that reads its counter from the assertion and writes it back only if nobody else has. */
const countUp: Script = (request) => {
  const { data, ver } = claimsOf(request) as { data: { count?: number }; ver: string }
  return rawResponse({ headers: [['X-Session-Patch', encodePatch({ count: (data.count ?? 0) + 1 })], ['X-Session-Control', `if-version="${ver}"`]], body: 'ok' })
}

test('RX6 one session hammered by 300 parallel mutations does not hold up the others', async () => {
  await using worlds = await worldsOn([createMemoryStore()])
  const [world] = worlds as unknown as [World]
  const others = Array.from({ length: 10 }, () => world.newClient())
  for (const client of others) await order(client, { patch: { n: 0 } })
  const hammering = Promise.all(Array.from({ length: 300 }, (_, i) => order(world.client, { patch: { [`h${i}`]: 1 } })))
  const replies = await Promise.all(others.map((client) => order(client, { patch: { n: 1 } })))
  expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200))
  expect((await hammering).every(({ status }) => status === 200)).toBe(true)
  expect(Object.keys(await dataOf(world) ?? {})).toHaveLength(301)
})
