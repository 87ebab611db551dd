import { expect, test } from 'vitest'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { httpClient, type HttpClient, type HttpReply } from '../support/http-client.ts'
import { rawResponse, startRawUpstream, type RawUpstream, type SeenRequest } from '../support/raw-upstream.ts'
import { waitFor } from '../support/wait-for.ts'
import { ASSERTION_SECRET, COOKIE_SECRET } from '../support/world.ts'

const RELOADS = Number(process.env['RELOADS'] ?? 100)

type Generation = 'a' | 'b'

/** Everything a request takes from its configuration is named after the generation: upstream, prefix, issuer, keys, cookie, limits. */
function configOf(name: Generation, upstream: RawUpstream): Record<string, unknown> {
  return {
    headerPrefix: `X-${name}-`, issuer: `gateway-${name}`,
    keys: { cookie: [{ id: `c${name}`, secret: `${COOKIE_SECRET}${name}` }], assertion: [{ id: `k${name}`, alg: 'HS256', secret: ASSERTION_SECRET }] },
    session: { cookie: { name: `sid-${name}`, secure: false } },
    upstreams: { [`app-${name}`]: { targets: [upstream.url] } },
    routes: [{ path: '/', upstream: `app-${name}` }],
    log: { format: 'json', requests: false },
  }
}

interface Claims { readonly iss: string; readonly aud: string }

/** Tells which generation each part of the request came from, and changes the session by the header of its own. */
function answerAs(name: Generation): (request: SeenRequest) => Buffer {
  return (request) => {
    const seen = (['a', 'b'] as const).flatMap((prefix) => request.all(`x-${prefix}-assertion`).map((token) => {
      const [header = '', claims = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
      const { iss, aud } = JSON.parse(claims) as Claims
      return [prefix, (JSON.parse(header) as { kid: string }).kid, iss, aud]
    }))
    return rawResponse({ headers: [[`X-${name}-Patch`, '{"n":1}']], body: JSON.stringify({ upstream: name, seen }) })
  }
}

/** The one generation an answer is of; throws when its parts are of two. */
function generationOf(reply: HttpReply): Generation {
  const { upstream: name, seen } = reply.json<{ upstream: Generation; seen: unknown }>()
  expect(reply.status).toBe(200)
  expect(seen).toEqual([[name, `k${name}`, `gateway-${name}`, `app-${name}`]])
  expect(reply.all('set-cookie').map((line) => line.split('.')[0])).toEqual([`sid-${name}=c${name}`])
  expect(reply.headers.map(([field]) => field.toLowerCase()).filter((field) => /^x-[ab]-/.test(field))).toEqual([])
  return name
}

test(`PR4: ${RELOADS} reloads under load: no connection refused, and every answer is of one generation alone`, { timeout: 120_000 }, async () => {
  await using a = await startRawUpstream(undefined, { keepRequests: 5, keepBytes: false })
  await using b = await startRawUpstream(undefined, { keepRequests: 5, keepBytes: false })
  a.respond(answerAs('a'))
  b.respond(answerAs('b'))
  await using gateway = await startGatewayProcess({ upstream: a.url, config: configOf('a', a) })

  const answers = { a: 0, b: 0 }
  let isRunning = true
  const ask = async (client: HttpClient): Promise<void> => { answers[generationOf(await client.get('/', { anonymous: true }))]++ }
  const keptAlive = Array.from({ length: 4 }, async () => {
    using client = httpClient(gateway.url, { maxSockets: 1 })
    while (isRunning) await ask(client)
  })
  const newEachTime = Array.from({ length: 2 }, async () => {
    while (isRunning) {
      using client = httpClient(gateway.url, { keepAlive: false })
      await ask(client)
    }
  })
  const load = Promise.all([...keptAlive, ...newEachTime])
  load.catch(() => undefined)

  using probe = httpClient(gateway.url)
  const reload = async (): Promise<void> => {
    for (let round = 1; round <= RELOADS; round++) {
      const name = round % 2 === 0 ? 'a' : 'b'
      gateway.write(configOf(name, name === 'a' ? a : b))
      gateway.child.signal('SIGHUP')
      await waitFor(async () => generationOf(await probe.get('/', { anonymous: true })) === name, `generation ${round}`)
    }
    isRunning = false
  }
  await Promise.all([reload(), load])
  expect(Math.min(answers.a, answers.b)).toBeGreaterThan(RELOADS)
})
