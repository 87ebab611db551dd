import { expect, test } from 'vitest'
import { rawResponse, step } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { ASSERTION_SECRET, COOKIE_SECRET, startWorld } from '../support/world.ts'

// Ids, cookies, assertions, keys and what sessions hold: in no log line, no metric, no page of ours (N56, N63, CF2).

test('nothing that opens a session or stands in one is told to anyone', async () => {
  await using world = await startWorld({
    routes: [{}, { path: '/private', session: 'require' }, { path: '/small', maxBody: '1B' }, { path: '/read', session: 'read' }],
    upstream: { timeouts: { connect: '1s', firstByte: '300ms', idle: '300ms' } }, limits: { requestsPerSecond: 0 },
  })
  const secrets = new Map([['the cookie key', COOKIE_SECRET], ['the assertion key', ASSERTION_SECRET], ['a value of the session', 'canary-of-the-session'], ['an upstream cookie', 'canary-of-the-app'], ['a query', 'canary-in-the-query'], ['a body', 'canary-in-the-body'], ['credentials', 'canary-credentials']])

  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"secret":"canary-of-the-session"}'], ['Set-Cookie', 'app=canary-of-the-app']], body: 'ok' }))
  await world.client.get('/?token=canary-in-the-query')
  const cookie = world.client.jar.get('sid')!.value
  const [, id, signature] = cookie.split('.')
  secrets.set('the cookie', cookie).set('the session id', id!).set('the signature', signature!)

  const bodies: string[] = []
  const ask = async (target: string, lines = '', body = ''): Promise<void> => {
    const reply = await rawRequest(world.url, `POST ${target} HTTP/1.1\r\nHost: a\r\nAccept: ${bodies.length % 2 ? 'text/html' : '*/*'}\r\nCookie: sid=${cookie}; app=canary-of-the-app\r\nAuthorization: Basic canary-credentials\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`).catch(() => undefined)
    if (reply) bodies.push(reply.rawHead.replace(/^set-cookie:.*$/gim, '') + reply.text)
  }
  world.upstream.respond(rawResponse({ body: 'fine' }))
  await ask('/?x=canary-in-the-query', '', 'canary-in-the-body')
  secrets.set('an assertion', world.upstream.lastRequest.header('x-session-assertion')!)
  await world.upstream.waitForRequests(1)
  await ask('/private?x=canary-in-the-query')
  await ask('/small', '', 'canary-in-the-body')
  await ask('/a%2f..?canary-in-the-query')
  await ask('/', 'Expect: canary\r\n')
  await ask('/', 'X-Session-Assertion: canary-of-the-session\r\nBad Header: canary-credentials\r\n')
  const answers = [
    rawResponse({ headers: [['X-Session-Patch', '{"secret":"canary-of-the-session"']], body: 'x' }), rawResponse({ headers: [['X-Session-Patch', '{"a":1}'], ['X-Session-Patch', '{"secret":"canary-of-the-session"}']], body: 'x' }),
    rawResponse({ headers: [['X-Session-Control', 'no-such-directive']], body: 'x' }), rawResponse({ headers: [['X-Session-Patch', `{"secret":"canary-of-the-session${'x'.repeat(17_000)}"}`]], body: 'x' }),
    rawResponse({ headers: [['Set-Cookie', 'sid=canary-of-the-app']], body: 'x' }), [rawResponse({ headers: [['Content-Length', '99'], ['Set-Cookie', 'app=canary-of-the-app']] }), 'x', step.reset()],
    [step.reset()], ['HTTP/1.1 canary-of-the-app\r\n\r\n', step.end()], [step.stall()],
  ]
  for (const answer of answers) {
    world.upstream.respondOnce(answer)
    await ask('/')
  }
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"b":1}']], body: 'x' }))
  await ask('/read')
  using client = await connectRaw(world.url)
  await client.send(`POST / HTTP/1.1\r\nHost: a\r\nCookie: sid=${cookie}\r\nContent-Length: 99\r\n\r\ncanary-in-the-body`)
  client.reset()
  await ask('/last')

  expect(bodies.length).toBeGreaterThan(12)
  const told = { log: world.log.map((line) => JSON.stringify(line)).join('\n'), metrics: await world.metrics.registry.metrics(), 'answers of ours': bodies.join('\n') }
  expect(told.log).toContain('ERR_MUTATION_REFUSED')
  for (const [what, secret] of secrets) {
    for (const [where, text] of Object.entries(told)) expect(text.includes(secret), `${what} in the ${where}: ${text.split('\n').find((line) => line.includes(secret))}`).toBe(false)
  }
})
