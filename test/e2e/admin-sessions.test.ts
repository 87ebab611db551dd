import { expect, test } from 'vitest'
import type { Address } from '../../src/config/address.ts'
import { openAdmin } from '../../src/admin/admin.ts'
import { createSessionsApi } from '../../src/admin/sessions-api.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient, type HttpClient, type HttpRequestOptions } from '../support/http-client.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawUpstream, type RawUpstream } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'

/** A gateway with its operators' API, and sessions of ann (two) and bob, who has something to hide. */
async function operated(session: Record<string, unknown> = { subject: 'user', revocation: true }) {
  const world = await startWorld({ session })
  loginsOn(world.upstream)
  const address: Address = { kind: 'tcp', host: '127.0.0.1', port: await freePort() }
  const admin = await openAdmin(address, {
    readiness: () => Promise.resolve({ isReady: true, causes: [] }), metrics: () => Promise.resolve({ contentType: 'text/plain', text: '' }), jwks: () => ({}),
    api: createSessionsApi({ address, inventory: () => world.gateway.inventory, log: world.gateway.log }),
  })
  const operator = httpClient(`http://127.0.0.1:${address.port}`)
  const clients = { ann: world.newClient(), ann2: world.newClient(), bob: world.newClient() }
  await clients.ann.get('/login?ann')
  await clients.ann2.get('/login?ann')
  await clients.bob.get('/login?bob')
  return {
    world, operator, clients,
    async [Symbol.asyncDispose]() {
      operator.close()
      await admin.close()
      await world[Symbol.asyncDispose]()
    },
  }
}

function loginsOn(upstream: RawUpstream): void {
  upstream.respond(({ target }) => {
    const name = target.split('?')[1]
    return rawResponse({ headers: name ? [['X-Session-Patch', JSON.stringify({ user: name, card: { number: '4711-secret', items: [1, 2], paid: true, total: 9.5 } })]] : [], body: 'app' })
  })
}

interface Listed { readonly sessions: { handle: string; subject: string | null; bytes: number; created: string; lastUse: string; expires: string }[]; readonly next?: string }

async function listed(operator: HttpClient, query = ''): Promise<Listed['sessions']> {
  const reply = await operator.get(`/sessions${query}`)
  expect(reply.status).toBe(200)
  return reply.json<Listed>().sessions
}

async function isLoggedIn(world: World, client: HttpClient): Promise<boolean> {
  await client.get('/')
  return world.lastClaims()['new'] === false
}

test('sessions are listed with who, since when and until when; never with an id or a cookie', async () => {
  await using gate = await operated()
  const { operator, world, clients } = gate
  const reply = await operator.get('/sessions')
  const { sessions } = reply.json<Listed>()
  expect(sessions.map(({ subject }) => subject).sort()).toEqual(['ann', 'ann', 'bob'])
  for (const { handle, bytes, created, expires } of sessions) {
    expect(handle).toMatch(/^[\w-]{22}$/)
    expect(bytes).toBeGreaterThan(50)
    expect(Date.parse(expires) - Date.parse(created)).toBe(30 * 60_000)
  }
  await clients.bob.get('/')
  expect(sessions.map(({ handle }) => handle)).toContain(world.lastClaims()['sid'])
  expect(await listed(operator, '?subject=bob')).toHaveLength(1)
  expect(await listed(operator, '?subject=nobody')).toEqual([])

  const all = [reply.body, (await operator.get(`/sessions/${sessions[0]?.handle}?values=1`)).body, JSON.stringify(world.log)].join()
  for (const client of Object.values(clients)) {
    const [, id = '?'] = /sid=c1\.([\w-]{43})/.exec(client.jar.headerFor('/') ?? '') ?? []
    expect(id).toHaveLength(43)
    expect(all).not.toContain(id)
  }
})

test('a session is shown with its values redacted, unless they are asked for, which is logged', async () => {
  await using gate = await operated()
  const [bob] = await listed(gate.operator, '?subject=bob')
  const shown = (await gate.operator.get(`/sessions/${bob?.handle}`)).json<{ data: unknown }>()
  expect(shown).toMatchObject({ handle: bob?.handle, subject: 'bob' })
  expect(shown.data).toEqual({ user: '[text of 3 characters]', card: { number: '[text of 11 characters]', items: '[2 elements]', paid: '[boolean]', total: '[number]' } })
  expect((await gate.operator.get(`/sessions/${bob?.handle}?values=1`)).json()).toMatchObject({ data: { user: 'bob', card: { number: '4711-secret' } } })
  expect(gate.world.log).toContainEqual(expect.objectContaining({ session: bob?.handle, msg: 'an operator looked at the values of a session' }))
  expect((await gate.operator.get('/sessions/AAAAAAAAAAAAAAAAAAAAAA')).status).toBe(404)
})

test.each([[true], [false]])('one session, all of a user, all of everybody are ended (revocation: %s)', async (revocation) => {
  await using gate = await operated({ subject: 'user', revocation })
  const { operator, world, clients } = gate
  const [bob] = await listed(operator, '?subject=bob')
  expect((await operator.delete(`/sessions/${bob?.handle}`)).json()).toEqual({ revoked: 1 })
  expect((await operator.delete(`/sessions/${bob?.handle}`)).status).toBe(404)
  expect(await isLoggedIn(world, clients.bob)).toBe(false)
  expect(await isLoggedIn(world, clients.ann)).toBe(true)

  expect((await operator.delete('/sessions?subject=ann')).json()).toEqual({ revoked: 2 })
  expect([await isLoggedIn(world, clients.ann), await isLoggedIn(world, clients.ann2)]).toEqual([false, false])

  await clients.ann.get('/login?ann')
  await clients.bob.get('/login?bob')
  expect((await operator.delete('/sessions?all=1')).status).toBe(400)
  expect(await isLoggedIn(world, clients.ann)).toBe(true)
  expect((await operator.delete('/sessions?all=1&confirm=all')).json()).toEqual({ revoked: 2 })
  expect([await isLoggedIn(world, clients.ann), await isLoggedIn(world, clients.bob)]).toEqual([false, false])
  expect(await listed(operator)).toEqual([])
})

test('a long list comes in pages', async () => {
  await using gate = await operated()
  const handles: string[] = []
  let cursor: string | undefined
  for (let page = 0; page < 10; page++) {
    const { sessions, next } = (await gate.operator.get(`/sessions?limit=1${cursor === undefined ? '' : `&cursor=${cursor}`}`)).json<Listed>()
    handles.push(...sessions.map(({ handle }) => handle))
    cursor = next
    if (cursor === undefined) break
  }
  expect(new Set(handles).size).toBe(3)
  expect(handles).toHaveLength(3)
})

const REFUSED: [what: string, method: string, path: string, options: HttpRequestOptions, status: number][] = [
  ['another site\'s page', 'DELETE', '/sessions?subject=ann', { headers: { origin: 'https://evil.example' } }, 403],
  ['a page that says it is ours', 'GET', '/sessions', { headers: { origin: 'http://127.0.0.1:9090' } }, 403],
  ['a sandboxed page', 'DELETE', '/sessions?all=1&confirm=all', { headers: { origin: 'null' } }, 403],
  ['an image in another site\'s page', 'GET', '/sessions', { headers: { 'sec-fetch-site': 'cross-site' } }, 403],
  ['a name rebound to loopback', 'GET', '/sessions', { headers: { host: 'evil.example:9090' } }, 403],
  ['a name that begins like an address', 'GET', '/sessions', { headers: { host: '127.0.0.1.evil.example' } }, 403],
  ['a method that is not ours', 'POST', '/sessions', {}, 405],
  ['a misspelt parameter, which would otherwise end everybody\'s', 'DELETE', '/sessions?all=1&confirm=all&subjekt=ann', {}, 400],
  ['two subjects', 'DELETE', '/sessions?subject=ann&subject=bob', {}, 400],
  ['a subject and everybody', 'DELETE', '/sessions?subject=ann&all=1&confirm=all', {}, 400],
  ['nothing said', 'DELETE', '/sessions', {}, 400],
  ['a limit out of bounds', 'GET', '/sessions?limit=100000', {}, 400],
]
test('the API refuses what is no operator\'s tool, and what is unclear; nothing has ended then', async () => {
  await using gate = await operated()
  for (const [what, method, path, options, status] of REFUSED) expect([what, (await gate.operator.request(method, path, options)).status]).toEqual([what, status])
  expect((await gate.operator.get('/sessions', { headers: { host: 'localhost:9090' } })).status).toBe(200)
  expect(await listed(gate.operator)).toHaveLength(3)
})

test('with workers, the primary answers from a handle of its own on their store, also after a reload', async () => {
  await using upstream = await startRawUpstream()
  loginsOn(upstream)
  const session = { subject: 'user', revocation: true }
  await using gateway = await startGatewayProcess({ upstream: upstream.url, config: { workers: 2, session } })
  using browser = httpClient(gateway.url)
  using operator = httpClient(gateway.adminUrl)
  await browser.get('/login?ann')
  const cookie = browser.jar.headerFor('/') ?? ''
  expect(await listed(operator)).toMatchObject([{ subject: 'ann' }])

  gateway.write({ workers: 2, session: { ...session, touchInterval: '30s' } })
  gateway.child.signal('SIGHUP')
  await gateway.child.waitForLine(/configuration reloaded/)
  expect((await operator.delete('/sessions?subject=ann')).json()).toEqual({ revoked: 1 })
  const seen = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    using client = httpClient(gateway.url)
    await client.get(`/seen${i}`, { headers: { cookie } })
  }))
  expect(seen).toHaveLength(8)
  const requests = upstream.requests.filter(({ target }) => target.startsWith('/seen'))
  const claims = requests.map((request) => JSON.parse(Buffer.from(request.header('x-session-assertion')?.split('.')[1] ?? '', 'base64url').toString()) as { new: boolean })
  expect(claims.map((claim) => claim.new)).toEqual(Array.from({ length: 8 }, () => true))
})
