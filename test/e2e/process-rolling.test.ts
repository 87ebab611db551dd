import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts'
import { httpClient, type HttpClient, type HttpReply } from '../support/http-client.ts'
import { rawResponse, startRawUpstream, type SeenRequest } from '../support/raw-upstream.ts'
import { startRedis } from '../support/servers.ts'
import { waitFor } from '../support/wait-for.ts'
import { COOKIE_SECRET } from '../support/world.ts'

const ROLLS = Number(process.env['ROLLS'] ?? 3)
const WRITERS = 6

/** What stands in front of a rolling update: each new connection goes to the gateway named last. */
async function startSwitch(): Promise<{ readonly url: string; port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const gateway = connect(front.port, '127.0.0.1')
    for (const [from, to] of [[client, gateway], [gateway, client]] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy()).on('close', () => sockets.delete(from))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const front = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, port: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return front
}

/** `/?patch={...}` and `/?control=...` change the session; the answer is what the assertion said. */
function obey(request: SeenRequest): Buffer {
  const { searchParams } = new URL(request.target, 'http://x')
  const [patch, control] = [searchParams.get('patch'), searchParams.get('control')]
  const claims = Buffer.from(request.header('x-session-assertion')?.split('.')[1] ?? '', 'base64url').toString()
  return rawResponse({ headers: [...(patch ? [['X-Session-Patch', patch] as const] : []), ...(control ? [['X-Session-Control', control] as const] : [])], body: claims })
}

interface Claims { readonly new: boolean; readonly data: Readonly<Record<string, number>> }

/** As browsers do: once more when a connection that was kept open ended before anything came back (RFC 9110 section 9.2.2). */
async function ask(client: HttpClient, path: string, cookie?: string): Promise<HttpReply> {
  const options = cookie === undefined ? {} : { headers: { cookie }, anonymous: true }
  const reply = await client.get(path, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') throw error
    return client.get(path, options)
  })
  expect([reply.status, reply.body]).toEqual([200, expect.stringContaining('"data"')])
  return reply
}

test(`PR6: ${ROLLS} times the next version takes over under load: no failed request, no lost update, whoever left stays out`, { timeout: 90_000 }, async () => {
  await using redis = await startRedis()
  await using upstream = await startRawUpstream(undefined, { keepRequests: 5, keepBytes: false })
  upstream.respond(obey)
  await using front = await startSwitch()
  const keys = ['c1', 'c2'].map((id) => ({ id, secret: `${COOKIE_SECRET}${id}` }))
  const start = (version: number): Promise<GatewayProcess> => startGatewayProcess({ upstream: upstream.url, config: {
    store: { kind: 'redis', url: redis.url }, log: { format: 'json', requests: false }, session: { idle: `${20 + version}m` },
    keys: { cookie: version % 2 === 0 ? keys : keys.toReversed(), assertion: [{ id: 'a1', alg: 'HS256', secret: COOKIE_SECRET.toUpperCase() }] },
  } })
  let gateway = await start(0)
  front.port = gateway.port

  using first = httpClient(front.url)
  await ask(first, '/?patch={"base":1}')
  const shared = first.jar.headerFor('/') ?? ''
  const acknowledged = Array.from({ length: WRITERS }, () => 0)
  const left: string[] = []
  let isRunning = true
  const writers = acknowledged.map(async (_, writer) => {
    using client = httpClient(front.url, { maxSockets: 1 })
    for (let n = 1; isRunning; n++) {
      const seen = (await ask(client, `/?patch={"w${writer}":${n}}`, shared)).json<Claims>().data
      expect(seen[`w${writer}`] ?? 0).toBe(acknowledged[writer])
      acknowledged[writer] = n
    }
  })
  const leavers = Array.from({ length: 2 }, async () => {
    while (isRunning) {
      using client = httpClient(front.url)
      await ask(client, '/?patch={"me":1}')
      const cookie = client.jar.headerFor('/') ?? ''
      await ask(client, '/?control=destroy')
      left.push(cookie)
      expect((await ask(client, '/?patch={"me":2}', cookie)).json<Claims>()).toMatchObject({ new: true, data: {} })
    }
  })
  const load = Promise.all([...writers, ...leavers])
  load.catch(() => undefined)

  async function roll(): Promise<void> {
    for (let version = 1; version <= ROLLS; version++) {
      const next = await start(version)
      const before = acknowledged.reduce((sum, n) => sum + n)
      front.port = next.port
      gateway.child.signal('SIGTERM')
      expect(await gateway.child.exited).toEqual({ code: 0, signal: null })
      await gateway[Symbol.asyncDispose]()
      gateway = next
      await waitFor(() => acknowledged.reduce((sum, n) => sum + n) > before + 50, 'the load to go on')
    }
    isRunning = false
  }
  try {
    await Promise.all([roll(), load])
    const { data } = (await ask(first, '/', shared)).json<Claims>()
    expect(acknowledged.map((_, writer) => data[`w${writer}`])).toEqual(acknowledged)
    expect(left.length).toBeGreaterThan(ROLLS)
    for (const cookie of left.slice(-200)) expect((await ask(first, '/', cookie)).json<Claims>().new).toBe(true)
  } finally {
    isRunning = false
    await gateway[Symbol.asyncDispose]()
  }
})
