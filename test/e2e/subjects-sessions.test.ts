import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { systemClock } from '../../src/clock.ts'
import type { Inventory } from '../../src/session/inventory.ts'
import { createFileStore } from '../../src/stores/file.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { EpochMs } from '../../src/session/session.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { GatedStore } from '../support/gated-store.ts'
import type { HttpClient } from '../support/http-client.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startRedis } from '../support/servers.ts'
import { within } from '../support/wait-for.ts'
import { cookieSigner, startWorld, type World, type WorldOptions } from '../support/world.ts'

const USER = { subject: 'user.id', rotateOn: ['user.id'] }

/** A node of a cluster: a whole gateway with an app where /login?NAME logs in, /set?TEXT writes, /logout ends. */
async function node(store: SessionStore, session: Record<string, unknown> = { ...USER, revocation: true }, more: Partial<WorldOptions> = {}): Promise<World> {
  const world = await startWorld({ store, session, ...more })
  world.upstream.respond((request) => {
    const [path, argument = ''] = request.target.split('?')
    const headers: [string, string][] = []
    if (path === '/login') headers.push(['X-Session-Patch', JSON.stringify({ user: { id: argument } })])
    if (path === '/set') headers.push(['X-Session-Patch', JSON.stringify({ note: argument })])
    if (path === '/logout') headers.push(['X-Session-Control', 'destroy'])
    return rawResponse({ headers, body: 'app' })
  })
  return world
}

/** What the app behind `world` sees of the visitor: the user's name, or undefined. */
async function userOf(world: World, client: HttpClient): Promise<unknown> {
  const reply = await client.get(`${world.url}/`)
  expect(reply.status).toBe(200)
  const { data } = world.lastClaims() as { data: { user?: { id?: unknown } } }
  return data.user?.id
}

function unclosable(store: SessionStore): SessionStore {
  return { ...store, close: () => Promise.resolve() }
}

/** Two nodes on one store. */
async function cluster(session?: Record<string, unknown>, store: SessionStore = createMemoryStore()) {
  const shared = unclosable(store)
  const [a, b] = await Promise.all([node(shared, session), node(shared, session)])
  return { a, b, store, async [Symbol.asyncDispose]() { await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]); await store.close() } }
}

test('log out everywhere is one write to the store and holds at once on all nodes, for this user alone', async () => {
  const store = new GatedStore(createMemoryStore())
  await using nodes = await cluster(undefined, { ...storeOf(store) })
  const [phone, laptop, other] = [nodes.a.newClient(), nodes.a.newClient(), nodes.a.newClient()]
  await phone.get('/login?ann')
  await laptop.get(`${nodes.b.url}/login?ann`)
  await other.get('/login?bob')
  expect([await userOf(nodes.a, phone), await userOf(nodes.b, laptop), await userOf(nodes.b, other)]).toEqual(['ann', 'ann', 'bob'])

  const held = store.hold('destroy')                                    // what only frees space has not happened yet
  store.forgetCalls()
  const revoking = nodes.a.gateway.inventory.revokeOf('ann')
  await held.reached
  expect(store.count('replace', 'create', 'touch')).toBe(1)
  expect([await userOf(nodes.a, phone), await userOf(nodes.b, phone), await userOf(nodes.a, laptop), await userOf(nodes.b, laptop)]).toEqual([undefined, undefined, undefined, undefined])
  expect(await userOf(nodes.b, other)).toBe('bob')
  held.open()
  expect(await revoking).toBe(2)

  await phone.get('/login?ann')
  expect([await userOf(nodes.b, phone), await userOf(nodes.a, laptop)]).toEqual(['ann', undefined])
})

/** GatedStore is a class: its methods as an object can be spread. */
function storeOf(store: GatedStore): SessionStore {
  return {
    kind: store.kind, load: (key) => store.load(key), create: (...args) => store.create(...args), replace: (...args) => store.replace(...args),
    touch: (...args) => store.touch(...args), destroy: (...args) => store.destroy(...args), ping: () => store.ping(), close: () => store.close(),
  }
}

test('SF8: of logins that race with log out everywhere, none survives that came before it', async () => {
  await using nodes = await cluster()
  const { a, b } = nodes
  for (let round = 0; round < 15; round++) {
    const before = [a.newClient(), b.newClient()]
    await Promise.all(before.map((client) => client.get('/login?ann')))
    const racing = Array.from({ length: 6 }, (_, i) => (i % 2 ? a : b).newClient())
    const [revoked] = await Promise.all([a.gateway.inventory.revokeOf('ann'), ...racing.map((client) => client.get('/login?ann'))])
    expect(revoked).toBeGreaterThanOrEqual(2)
    for (const client of before) expect(await userOf(a, client)).toBeUndefined()
    // Each that raced is whole or gone, and alike on both nodes; one more revocation ends them all.
    for (const client of racing) expect(await userOf(a, client)).toBe(await userOf(b, client))
    await b.gateway.inventory.revokeOf('ann')
    for (const client of racing) expect(await userOf(a, client)).toBeUndefined()
  }
})

test('a session revoked while one of its requests is under way stays revoked, whatever that request changes', async () => {
  await using nodes = await cluster()
  const { a } = nodes
  const ann = a.newClient()
  await ann.get('/login?ann')
  for (const change of [{ patch: '{"note":"late"}' }, { control: 'rotate' }]) {
    const opened = await a.gateway.sessions.open([cookieOf(ann)])
    await a.gateway.inventory.revokeOf('ann')
    expect(await commitOn(a, opened, change)).toMatchObject({ cookie: { kind: 'keep' } })
    expect(await userOf(a, ann)).toBeUndefined()
    await ann.get('/login?ann')
  }
})

async function commitOn(world: World, opened: Awaited<ReturnType<World['gateway']['sessions']['open']>>, { patch, control }: { patch?: string; control?: string }) {
  const { mutationOf } = await import('../support/session-harness.ts')
  const mutation = mutationOf(patch === undefined ? undefined : JSON.parse(patch) as never, control)
  return world.gateway.sessions.commit(opened, mutation, { touch: 'threshold', check: () => {} })
}

function cookieOf(client: HttpClient): string {
  return (client.jar.headerFor('/') ?? '').replace(/^sid=/, '')
}

test('a session that rotates again and again is one session, in its old place', async () => {
  await using nodes = await cluster({ ...USER, maxPerSubject: 2, onMaxPerSubject: 'evict-oldest' })
  const { a, b } = nodes
  const [one, two, three] = [a.newClient(), b.newClient(), a.newClient()]
  await one.get('/login?ann')
  await two.get('/login?ann')
  let cookie = cookieOf(one)
  for (let i = 0; i < 5; i++) {
    const { cookie: change } = await commitOn(a, await a.gateway.sessions.open([cookie]), { control: 'rotate' })
    if (change.kind !== 'set') throw new Error('no new cookie')
    cookie = cookieSigner.sign(change.id)
  }
  expect(await nodes.a.gateway.inventory.listOf('ann')).toHaveLength(2)
  expect(await userOf(b, two)).toBe('ann')
  await three.get('/login?ann')
  expect((await b.gateway.sessions.open([cookie])).loaded).toBeUndefined()           // the oldest login, though its id is the youngest
  expect([await userOf(b, two), await userOf(b, three)]).toEqual(['ann', 'ann'])
})

const limits: [policy: 'reject' | 'evict-oldest', statuses: number[], survivors: (string | undefined)[]][] = [
  ['reject', [200, 200, 409], ['ann', 'ann', undefined]],
  ['evict-oldest', [200, 200, 200], [undefined, 'ann', 'ann']],
]
test.each(limits)('maxPerSubject, %s: the third login of two', async (onMaxPerSubject, statuses, survivors) => {
  await using nodes = await cluster({ ...USER, maxPerSubject: 2, onMaxPerSubject })
  const clients = [nodes.a.newClient(), nodes.b.newClient(), nodes.a.newClient()]
  const replies = []
  for (const client of clients) replies.push(await client.get('/login?ann'))
  expect(replies.map(({ status }) => status)).toEqual(statuses)
  const refused = replies.find(({ status }) => status === 409)
  if (refused) {
    expect(refused.json()).toMatchObject({ code: 'ERR_SESSION_LIMIT' })
    expect(refused.all('set-cookie')).toEqual([])
    expect(refused.body).not.toContain('app')
  }
  for (const world of [nodes.a, nodes.b]) expect(await Promise.all(clients.map((client) => seenOn(world, client)))).toEqual(survivors)
})

async function seenOn(world: World, client: HttpClient): Promise<unknown> {
  const opened = await world.gateway.sessions.open([cookieOf(client)])
  return (opened.loaded?.session.data as { user?: { id: string } } | undefined)?.user?.id
}

test('a refused login changes nothing of the session the visitor had before', async () => {
  await using nodes = await cluster({ ...USER, maxPerSubject: 1, onMaxPerSubject: 'reject' })
  const [first, second] = [nodes.a.newClient(), nodes.a.newClient()]
  await first.get('/login?ann')
  await second.get('/set?cart')
  expect((await second.get('/login?ann')).status).toBe(409)
  await second.get('/')
  expect(nodes.a.lastClaims()).toMatchObject({ data: { note: 'cart' } })
  await first.get('/logout')
  expect((await second.get('/login?ann')).status).toBe(200)
  await second.get('/')
  expect(nodes.a.lastClaims()).toMatchObject({ data: { note: 'cart', user: { id: 'ann' } } })
})

test.each(['reject', 'evict-oldest'] as const)('however many log in at once on two nodes, %s keeps the limit', async (onMaxPerSubject) => {
  await using nodes = await cluster({ ...USER, maxPerSubject: 3, onMaxPerSubject })
  const clients = Array.from({ length: 12 }, (_, i) => (i % 2 ? nodes.a : nodes.b).newClient())
  const replies = await Promise.all(clients.map((client) => client.get('/login?ann')))
  const users = await Promise.all(clients.map((client) => seenOn(nodes.a, client)))
  expect(users.filter((user) => user === 'ann')).toHaveLength(3)
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(onMaxPerSubject === 'reject' ? 3 : 12)
  expect(await nodes.b.gateway.inventory.listOf('ann')).toHaveLength(3)
})

test('switched on over sessions that live already: nobody is logged out, and they can be revoked too', async () => {
  const store = createMemoryStore()
  await using world = await node(store, USER)
  const ann = world.newClient()
  await ann.get('/login?ann')
  await world.reconfigure({ session: { cookie: { name: 'sid', secure: false }, ...USER, revocation: true } })
  expect(await userOf(world, ann)).toBe('ann')
  const elsewhere = world.newClient()
  await elsewhere.get('/login?ann')
  expect(await userOf(world, ann)).toBe('ann')
  await world.gateway.inventory.revokeOf('ann')
  expect([await userOf(world, ann), await userOf(world, elsewhere)]).toEqual([undefined, undefined])
})

test('a subject whose record the store has lost has no sessions: a revocation is never undone', async () => {
  const store = createMemoryStore()
  await using world = await node(store)
  const [old, ann] = [world.newClient(), world.newClient()]
  await old.get('/login?ann')
  const { subjectKeyOf } = await import('../../src/session/subjects.ts')
  await store.destroy(subjectKeyOf('ann'), (systemClock() - 1) as EpochMs)
  expect(await userOf(world, old)).toBeUndefined()
  await ann.get('/login?ann')
  expect([await userOf(world, old), await userOf(world, ann)]).toEqual([undefined, 'ann'])
})

test('whoever changes the user keeps the browser: logging out the former everywhere does not end the present one', async () => {
  await using nodes = await cluster({ subject: 'user.id', revocation: true })    // no rotation at login: one store key for both
  const client = nodes.a.newClient()
  await client.get('/login?ann')
  await client.get('/login?bob')
  await nodes.a.gateway.inventory.revokeOf('ann')
  expect(await userOf(nodes.b, client)).toBe('bob')
  await nodes.a.gateway.inventory.revokeOf('bob')
  expect(await userOf(nodes.b, client)).toBeUndefined()
})

test('what it costs: no store call more without a subject; one read more with one, shared by parallel requests and beside the session\'s', async () => {
  const store = new GatedStore(createMemoryStore())
  await using world = await node(store)
  const [guest, ann] = [world.newClient(), world.newClient()]
  await guest.get('/set?x')
  await ann.get('/login?ann')
  await ann.get('/')
  store.forgetCalls()
  await guest.get('/')
  expect(store.calls).toEqual(['load'])
  store.forgetCalls()
  await ann.get('/')
  expect(store.calls).toEqual(['load', 'load'])

  const gate = store.hold('load')
  const second = store.hold('load')
  const reply = ann.get('/')
  await Promise.all([gate.reached, second.reached])                     // neither waits for the other
  gate.open()
  second.open()
  expect((await reply).status).toBe(200)
})

test('log out everywhere closes the WebSockets of the user on every node, and nobody else\'s', async () => {
  const app = createServer((request, response) => {
    const name = request.url?.split('?')[1]
    if (name) response.setHeader('X-Session-Patch', JSON.stringify({ user: { id: name } }))
    response.end('app')
  }).listen(0, '127.0.0.1')
  await once(app, 'listening')
  const wss = new WebSocketServer({ server: app })
  const store = unclosable(createMemoryStore())
  const options: WorldOptions = {
    store, session: { ...USER, revocation: true }, upstream: { targets: [`http://127.0.0.1:${(app.address() as AddressInfo).port}`] },
    routes: [{ websocket: { recheck: '100ms' } }],
  }
  try {
    await using here = await startWorld(options)
    await using there = await startWorld(options)
    const open = async (world: World, name: string): Promise<WebSocket> => {
      const client = world.newClient()
      await client.get(`/login?${name}`)
      const socket = new WebSocket(world.url.replace('http', 'ws'), { origin: world.url, headers: { cookie: client.jar.headerFor('/') } })
      await within(once(socket, 'open'), 5_000, 'open WebSocket')
      return socket
    }
    const [phone, laptop, bobs] = [await open(here, 'ann'), await open(there, 'ann'), await open(here, 'bob')]
    const closes = [phone, laptop].map((socket) => within(once(socket, 'close') as Promise<[number]>, 5_000, 'the close'))
    await there.gateway.inventory.revokeOf('ann')
    expect((await Promise.all(closes)).map(([code]) => code)).toEqual([1008, 1008])
    expect(bobs.readyState).toBe(WebSocket.OPEN)
    bobs.terminate()
  } finally {
    wss.close()
    app.close()
  }
})

test.each([
  ['file', async (): Promise<[SessionStore, () => unknown]> => {
    const path = mkdtempSync(join(tmpdir(), 'subjects-'))
    return [createFileStore({ path }), () => rmSync(path, { recursive: true })]
  }],
  ['redis', async (): Promise<[SessionStore, () => unknown]> => {
    const server = await startRedis()
    return [createRedisStore({ url: server.url, timeoutMs: 2_000 }), () => server[Symbol.asyncDispose]()]
  }],
])('the inventory on %s lists, shows and ends what is there', async (_kind, open) => {
  const [store, after] = await open()
  try {
    const stored = unclosable(store)
    await using world = await node(stored)
    const clients = Array.from({ length: 7 }, () => world.newClient())
    for (const [i, client] of clients.entries()) await client.get(`/login?user${i % 3}`)
    const { inventory } = world.gateway
    const handles = new Set((await walk(inventory, 2)).map(({ handle }) => handle))
    expect(handles.size).toBe(7)
    expect((await inventory.listOf('user0')).map(({ subject }) => subject)).toEqual(['user0', 'user0', 'user0'])
    const [handle] = handles
    expect(await inventory.find(handle as string)).toMatchObject({ handle, data: { user: { id: expect.stringMatching(/^user\d$/) } } })
    expect(await inventory.revoke(handle as string)).toBe(true)
    expect(await inventory.revoke(handle as string)).toBe(false)
    expect(await walk(inventory, 100)).toHaveLength(6)
    expect(await inventory.revokeAll()).toBe(6)
    expect(await walk(inventory, 100)).toHaveLength(0)
    for (const client of clients) expect(await userOf(world, client)).toBeUndefined()
  } finally {
    await store.close()
    await after()
  }
})

async function walk(inventory: Inventory, limit: number) {
  const found = []
  let cursor: string | undefined
  do {
    const page = await inventory.list(cursor, limit)
    found.push(...page.sessions)
    cursor = page.next
  } while (cursor !== undefined)
  return [...new Map(found.map((session) => [session.handle, session])).values()]
}
