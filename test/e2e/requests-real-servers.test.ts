import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chunkedBody, rawResponse } from '../support/raw-upstream.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startEchoServers, type EchoServer, type SeenByApp } from '../support/servers/echo.ts'
import { startWorld, type World } from '../support/world.ts'

// What the gateway lets through means the same to every server behind it: gunicorn, Apache, nginx and node (HS8, A1, A14).

let world: World
let servers: EchoServer[]
let cookie: string
beforeAll(async () => {
  servers = await startEchoServers()
  world = await startWorld()
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"user":"ann"}']], body: 'ok' }))
  await world.client.get('/login')
  cookie = `sid=${world.client.jar.get('sid')!.value}`
  await world.reconfigure({
    upstreams: Object.fromEntries(servers.map(({ name, url }) => [name, { targets: [url] }])),
    routes: servers.map(({ name }) => ({ host: `${name}.test`, upstream: name })),
  })
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
})

const FORGED = 'forged-by-the-client'
const ALIASES = ['X_Session_Assertion', 'X.Session.Assertion', 'X_SESSION_ASSERTION', 'x-session_assertion'].map((name) => `${name}: ${FORGED}\r\n`).join('')
const EMBEDDED = 'GET /embedded HTTP/1.1\r\nHost: a\r\n\r\n'

interface Payload {
  readonly what: string
  readonly line?: string
  readonly fields?: string
  readonly body?: string
  /** What every app sees, beside the method, target and body as sent. */
  readonly sees?: Partial<SeenByApp> & { readonly fields?: Record<string, unknown> }
}

const PAYLOADS: readonly Payload[] = [
  { what: 'an ordinary request', fields: 'User-Agent: test\r\nAccept: */*\r\n', sees: { fields: { HTTP_USER_AGENT: 'test', HTTP_ACCEPT: '*/*' } } },
  { what: 'aliases of the assertion', fields: ALIASES },
  { what: 'HS8 aliases of what proxies say', fields: `X_FORWARDED_FOR: ${FORGED}\r\nX_FORWARDED_PROTO: ${FORGED}\r\nX_REAL_IP: ${FORGED}\r\nX-Forwarded_Host: ${FORGED}\r\nX_Forwarded_User: ${FORGED}\r\n` },
  { what: 'the real names of what proxies say', fields: `X-Forwarded-For: ${FORGED}\r\nX-Forwarded-Proto: ${FORGED}\r\nX-Real-IP: ${FORGED}\r\nForwarded: for=${FORGED}\r\nX-Forwarded-User: ${FORGED}\r\n` },
  { what: 'aliases of framing', line: 'POST /', fields: 'Content_Length: 99\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n', body: 'hello' },
  { what: 'aliases of other names that decide', fields: `Cookie: a=1\r\nAuthorization: Basic eA==\r\nProxy: http://${FORGED}\r\nRemote-User: x\r\n`, sees: { fields: { HTTP_COOKIE: 'a=1', HTTP_AUTHORIZATION: 'Basic eA==' } } },
  { what: 'twins of names that decide', fields: `Authorization: Basic eA==\r\nOrigin: http://a\r\nX-HTTP-Method-Override: PUT\r\nX_HTTP_Method_Override: ${FORGED}\r\nRemote_User: ${FORGED}\r\n`, sees: { fields: { HTTP_AUTHORIZATION: 'Basic eA==', HTTP_ORIGIN: 'http://a', HTTP_X_HTTP_METHOD_OVERRIDE: 'PUT' } } },
  { what: 'several Cookie lines', fields: 'Cookie: a=1\r\nCookie: b="x, y"; c=3\r\n', sees: { fields: { HTTP_COOKIE: 'a=1; b="x, y"; c=3' } } },
  { what: 'duplicates', fields: 'X-A: one\r\nx-a: two\r\n', sees: { fields: { HTTP_X_A: 'one, two' } } },
  { what: 'an empty value', fields: 'X-Empty:\r\n', sees: { fields: { HTTP_X_EMPTY: '' } } },
  { what: 'latin1', fields: 'X-Latin: \xe4\xff\r\n', sees: { fields: { HTTP_X_LATIN: '\xe4\xff' } } },
  { what: 'a body by length', line: 'POST /', fields: `Content-Type: text/plain\r\nContent-Length: ${EMBEDDED.length}\r\n`, body: EMBEDDED, sees: { fields: { CONTENT_TYPE: 'text/plain' } } },
  { what: 'a body in chunks', line: 'POST /', fields: 'Transfer-Encoding: chunked\r\n', body: chunkedBody([EMBEDDED.slice(0, 9), EMBEDDED.slice(9)]).toString('latin1'), sees: { body: EMBEDDED } },
  { what: 'chunk extensions and trailers', line: 'POST /', fields: 'Transfer-Encoding: chunked\r\n', body: `5;a="b"\r\nhello\r\n0\r\nX-Session-Assertion: ${FORGED}\r\n\r\n`, sees: { body: 'hello' } },
  { what: 'PUT in chunks', line: 'PUT /', fields: 'Transfer-Encoding: chunked\r\n', body: '5\r\nhello\r\n0\r\n\r\n', sees: { body: 'hello' } },
  { what: 'DELETE in chunks', line: 'DELETE /', fields: 'Transfer-Encoding: chunked\r\n', body: chunkedBody([EMBEDDED]).toString('latin1'), sees: { body: EMBEDDED } },
  { what: 'PATCH by length', line: 'PATCH /', fields: 'Content-Length: 5\r\n', body: 'hello' },
  { what: 'GET with a body', line: 'GET /', fields: `Content-Length: ${EMBEDDED.length}\r\n`, body: EMBEDDED },
  { what: 'OPTIONS with a body', line: 'OPTIONS /', fields: 'Content-Length: 5\r\n', body: 'hello' },
  { what: 'an empty chunked body', line: 'POST /', fields: 'Transfer-Encoding: chunked\r\n', body: '0\r\n\r\n', sees: { body: '' } },
  { what: 'Expect', line: 'POST /', fields: 'Expect: 100-continue\r\nContent-Length: 5\r\n', body: 'hello' },
  { what: 'Connection naming what matters', fields: 'Connection: close, X-Session-Assertion, X-Forwarded-For, Cookie, X-A\r\nX-A: one\r\n' },
  { what: 'hop-by-hop fields', fields: 'TE: trailers\r\nTrailer: X\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\n' },
  { what: 'an odd target', line: 'GET /a//b/%2F;x=1/%41?x=//y&z=%00' },
  { what: 'an encoded target', line: 'GET /%E2%82%AC/%20?%0d%0aX:y' },
  { what: 'absolute-form', line: 'GET http://@/x?y', sees: { target: '/x?y' } },
  { what: 'names of Object.prototype', fields: 'constructor: x\r\ntoString: y\r\n', sees: { fields: { HTTP_CONSTRUCTOR: 'x', HTTP_TOSTRING: 'y' } } },
]

/** Differences that are the servers' own, or each request's. */
const OWN_WAYS = ['HTTP_CONNECTION', 'HTTP_HOST', 'HTTP_CONTENT_LENGTH', 'HTTP_TRANSFER_ENCODING', 'HTTP_X_REQUEST_ID', 'HTTP_X_SESSION_ASSERTION']

async function seenBy(server: EchoServer, { line = 'GET /', fields = '', body = '' }: Payload): Promise<SeenByApp & { claims: Record<string, unknown> }> {
  const host = `${server.name}.test`
  const reply = await rawRequest(world.url, `${line.replace('@', host)} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n${fields}\r\n${body}`, { timeoutMs: 10_000 })
  expect(reply.status, `${server.name}: ${reply.text}`).toBe(200)
  const seen = server.seenIn(reply.body.toString('latin1').replaceAll(host, 'app.test'))
  const [, payload = ''] = (seen.fields['HTTP_X_SESSION_ASSERTION'] ?? '').split('.')
  const kept = Object.entries(seen.fields).filter(([name]) => !OWN_WAYS.includes(name)).map(([name, value]) => [name, name === 'HTTP_COOKIE' ? value : value.replace(/,\s*/g, ', ')])
  return { ...seen, fields: Object.fromEntries(kept) as Record<string, string>, claims: JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown> }
}

describe('gunicorn, Apache, nginx and node see the same', () => {
  test.each(PAYLOADS)('$what', async (payload) => {
    const all = await Promise.all(servers.map((server) => seenBy(server, payload)))
    const { line = 'GET /', body = '', sees = {} } = payload
    const [method, target] = line.split(' ')
    for (const [i, seen] of all.entries()) {
      const { name } = servers[i]!
      expect(seen, name).toMatchObject({ method, target, body, ...sees })
      expect(seen.claims, name).toMatchObject({ aud: name, data: { user: 'ann' } })
      expect(JSON.stringify(seen), name).not.toContain(FORGED)
      expect(seen.fields, name).toMatchObject({ HTTP_X_FORWARDED_FOR: '127.0.0.1', HTTP_X_FORWARDED_PROTO: 'http' })
      expect(seen.fields, `${name} and ${servers[0]!.name}`).toEqual(all[0]!.fields)
    }
  })
})
