import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createDeadlines } from '../../src/proxy/deadlines.ts'
import { Exchange } from '../../src/proxy/forward.ts'
import type { ResponseHandler } from '../../src/proxy/upstream-connection.ts'
import type { Upstream } from '../../src/proxy/upstream-pool.ts'

/** An exchange that stands at the head of its answer, the test in the place of a connection; `resumed` counts. */
async function exchangeAtHead(response: ServerResponse): Promise<{ readonly exchange: Exchange; readonly handler: ResponseHandler; readonly resumed: () => number }> {
  let handler: ResponseHandler | undefined
  let resumed = 0
  const target = { text: 'a', pool: { dispatch: (_request: unknown, given: ResponseHandler) => { handler = given } }, health: { succeeded: () => undefined, failed: () => undefined } }
  const upstream = { name: 'app', targets: [target], choose: () => target } as unknown as Upstream
  const exchange = new Exchange(upstream, {
    method: 'GET', target: '/', host: 'a', headers: [], ownLine: '', body: undefined, contentLength: undefined, maxBodyBytes: 0, limits: { bodyIdleMs: 0, minBodyRate: 0, responseIdleMs: 0 }, onEarlyHints: undefined,
  }, { connectMs: 0, firstByteMs: 0, idleMs: 0, totalMs: 0 }, createDeadlines())
  const started = exchange.start()
  handler?.onConnected({ resume: () => { resumed++ }, abort: () => undefined })
  handler?.onHead(200, 'OK', [])
  const upstreamResponse = await started
  upstreamResponse.pipe(response)
  return { exchange, handler: handler as ResponseHandler, resumed: () => resumed }
}

/** A response whose client reads nothing until `read` is called. */
async function unreadResponse(): Promise<{ readonly response: ServerResponse; readonly read: () => void }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  client.pause().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const [, response] = await once(server, 'request') as [unknown, ServerResponse]
  return { response, read: () => void client.resume() }
}

const CHUNK = Buffer.alloc(65_536)

/** Until the response takes no more. */
function fill(handler: ResponseHandler): void {
  while (handler.onData(CHUNK));
}

test('a client that reads again resumes its upstream', async () => {
  const { response, read } = await unreadResponse()
  const { handler, resumed } = await exchangeAtHead(response)
  const before = resumed()
  fill(handler)
  read()
  await once(response, 'drain')
  expect(resumed()).toBe(before + 1)
})

test.each(['ended', 'failed'] as const)('a client that reads again after the exchange has %s resumes nothing: the connection is another one\'s by then', async (how) => {
  const { response, read } = await unreadResponse()
  const { exchange, handler, resumed } = await exchangeAtHead(response)
  const before = resumed()
  fill(handler)
  if (how === 'ended') handler.onComplete()
  else exchange.abort(new Error('over'))
  read()
  await once(response, how === 'ended' ? 'finish' : 'drain')
  response.emit('drain')                              // as the listener does where node:http stopped (gateway/listener.ts)
  expect(resumed()).toBe(before)
})
