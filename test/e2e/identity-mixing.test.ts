import { expect, test } from 'vitest'
import { echoJson, rawResponse } from '../support/raw-upstream.ts'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// Many users on few sockets: nobody is ever served as another (SF9). `REQUESTS=100000` for the long run.

const REQUESTS = Number(process.env['REQUESTS'] ?? 10_000)
const BATCH = 16

async function cookiesOf(world: World, users: number): Promise<Map<string, string>> {
  const cookies = new Map<string, string>()
  for (let i = 0; i < users; i++) {
    const user = `user-${i}`
    world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', JSON.stringify({ user })]], body: 'ok' }))
    const client = world.newClient()
    await client.get('/login')
    cookies.set(user, client.jar.get('sid')!.value)
  }
  return cookies
}

function userOf(assertion: string | undefined): unknown {
  const [, payload = ''] = (assertion ?? '').split('.')
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { data: Record<string, unknown> }).data['user']
}

/** Sends `count` requests down one socket, pipelined in batches, each as a user drawn anew; throws when one answer is another user's. */
async function hammer(client: RawClient, cookies: Map<string, string>, count: number, seed: number): Promise<void> {
  const users = [...cookies.keys()]
  let state = seed
  const draw = (): number => state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
  for (let sent = 0; sent < count; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, () => {
      const user = draw() % 7 === 0 ? undefined : users[draw() % users.length]
      return { user, isPost: draw() % 3 === 0 }
    })
    void client.send(batch.map(({ user, isPost }) => {
      const body = isPost ? `I am ${user}` : ''
      return `${isPost ? 'POST' : 'GET'} /as?${user} HTTP/1.1\r\nHost: a\r\n${user === undefined ? '' : `Cookie: sid=${cookies.get(user)}\r\n`}${isPost ? `Content-Length: ${body.length}\r\n` : ''}\r\n${body}`
    }).join(''))
    for (const { user, isPost } of batch) {
      const reply = await client.readResponse()
      const seen = reply.json<{ target: string; body: string; headers: Array<[string, string]> }>()
      const assertions = seen.headers.filter(([name]) => name === 'X-Session-Assertion')
      const isRight = reply.status === 200 && seen.target === `/as?${user}` && assertions.length === 1 && userOf(assertions[0]![1]) === user && (!isPost || seen.body === `I am ${user}`)
      if (!isRight) throw new Error(`asked as ${user}, answered: ${reply.text}`)
    }
  }
}

test(`SF9 ${REQUESTS} requests of eight users and nobody, alternating on four sockets, pipelined`, { timeout: 60_000 + REQUESTS * 5 }, async () => {
  await using world = await startWorld()
  const cookies = await cookiesOf(world, 8)
  world.upstream.respond(echoJson())
  const clients = await Promise.all([1, 2, 3, 4].map(() => connectRaw(world.url, { keep: false })))
  await Promise.all(clients.map((client, i) => hammer(client, cookies, REQUESTS / clients.length, i + 1)))
  for (const client of clients) client.close()
  expect(world.upstream.requestCount).toBeGreaterThanOrEqual(REQUESTS + 8)
})

test('writers and readers of different sessions on one socket keep to themselves', async () => {
  await using world = await startWorld()
  const cookies = await cookiesOf(world, 2)
  world.upstream.respond((request) => request.target.startsWith('/write')
    ? rawResponse({ headers: [['X-Session-Patch', JSON.stringify({ last: request.target })]], body: 'ok' })
    : rawResponse({ body: JSON.stringify(JSON.parse(Buffer.from(request.header('x-session-assertion')!.split('.')[1]!, 'base64url').toString())) }))
  using client = await connectRaw(world.url)
  const get = (target: string, user: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\nCookie: sid=${cookies.get(user)}\r\n\r\n`
  for (let round = 0; round < 50; round++) {
    void client.send(get(`/write-0-${round}`, 'user-0') + get(`/write-1-${round}`, 'user-1') + get('/read', 'user-0') + get('/read', 'user-1'))
    await client.readResponse()
    await client.readResponse()
    for (const i of [0, 1]) expect((await client.readResponse()).json()).toMatchObject({ data: { user: `user-${i}`, last: `/write-${i}-${round}` } })
  }
})
