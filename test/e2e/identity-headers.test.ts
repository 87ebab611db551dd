import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// What a client says of itself under our names, or in the name of a proxy, never reaches an upstream (N1 to N8, N35, N58).

const FORGED = 'forged-by-the-client'
let world: World
let cookie: string
beforeAll(async () => {
  world = await startWorld()
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"user":"ann"}']], body: 'ok' }))
  await world.client.get('/login')
  cookie = `sid=${world.client.jar.get('sid')!.value}`
})
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

/** Sends the lines with a valid session, and gives every byte of what the upstream saw. */
async function seenAfter(lines: string, { method = 'GET', body = '' } = {}): Promise<string> {
  const reply = await rawRequest(world.url, `${method} /seen HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n${lines}\r\n${body}`)
  expect(reply.status).toBe(200)
  expect(world.upstream.requests).toHaveLength(1)
  return world.upstream.lastRequest.rawBytes.toString('latin1')
}

function expectOwnAssertionOnly(seen: string): void {
  expect(seen).not.toContain(FORGED)
  expect(seen.match(/^x-session-/gim)).toHaveLength(1)
  expect(world.lastClaims()).toMatchObject({ data: { user: 'ann' } })
}

const NAMES = ['X-Session-Assertion', 'x-session-assertion', 'X-SESSION-ASSERTION', 'X-Session-assertioN']
const ALIASES = [
  'X_Session_Assertion', 'x_session_assertion', 'X.Session.Assertion', 'X-Session_Assertion', 'X_SESSION-ASSERTION', 'X-Session~Assertion', 'X*Session*Assertion',
  "X'Session'Assertion", 'X-Session-', 'X-Session-Anything', 'X_Session_Patch', 'X-Session-Patch', 'X-Session-Control', 'X-Session-Mutation', 'X-Session-Data', 'x!session!user',
]

describe('a name of ours, in any spelling', () => {
  test.each(NAMES)('HS1 %s', async (name) => expectOwnAssertionOnly(await seenAfter(`${name}: ${FORGED}\r\n`)))
  test.each(ALIASES)('HS3 %s', async (name) => expectOwnAssertionOnly(await seenAfter(`${name}: ${FORGED}\r\n`)))

  test('HS1 twice, around other fields', async () => {
    const seen = await seenAfter(`X-Session-Assertion: ${FORGED}\r\nX-A: one\r\nx-session-assertion: ${FORGED}\r\n`)
    expectOwnAssertionOnly(seen)
    expect(seen).toContain('X-A: one')
  })

  test('HS2 without a session the upstream gets our word that there is none', async () => {
    await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nX-Session-Assertion: ${FORGED}\r\n\r\n`)
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
  })

  test.each(['X-Session-Assertion ', 'X-Session-Assertion\x85', 'X-Session-Assertion\t'])('HS3 illegal name %j is refused', async (name) => {
    const reply = await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\n${name}: ${FORGED}\r\n\r\n`)
    expect(reply.status).toBe(400)
    expect(world.upstream.requests).toHaveLength(0)
  })

  test('HS7 a mutation in a request changes nothing, also when the upstream echoes what it was sent', async () => {
    world.upstream.respondOnce((request) => rawResponse({ headers: [...request.headers.filter(([name]) => !/^(host|content-length|connection)$/i.test(name))], body: 'ok' }))
    const reply = await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\nX-Session-Patch: {"admin":true}\r\nX-Session-Control: destroy\r\n\r\n`)
    expect(reply.status).toBe(200)
    expect(reply.headers.filter(([name]) => /^x.session/i.test(name))).toEqual([])
    await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
    expect(world.lastClaims()).toMatchObject({ data: { user: 'ann' } })
  })

  test('HS6, N8 nothing of a trailer is taken for a field', async () => {
    const seen = await seenAfter('Trailer: X-Session-Assertion\r\nTransfer-Encoding: chunked\r\n', {
      method: 'POST', body: `2\r\nab\r\n0\r\nX-Session-Assertion: ${FORGED}\r\nX-Session-Patch: ${FORGED}\r\n\r\n`,
    })
    expectOwnAssertionOnly(seen)
    expect(world.upstream.lastRequest.body.toString()).toBe('ab')
    expect(world.upstream.lastRequest.trailers).toEqual([])
    expect(seen).not.toMatch(/^trailer:/im)
  })
})

describe.each([1, 2_048, 2_097_152])('HS4 Expect: 100-continue and a body of %i bytes', (bytes) => {
  test.each(['waits for the 100', 'does not wait'])('the client %s', async (manner) => {
    using client = await connectRaw(world.url)
    const head = `POST /upload HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\nExpect: 100-continue\r\nX-Session-Assertion: ${FORGED}\r\nContent-Length: ${bytes}\r\n\r\n`
    const body = Buffer.alloc(bytes, 'x')
    await client.send(head)
    if (manner === 'waits for the 100') await client.read(25)
    void client.send(body)
    const reply = await client.readResponse()
    expect(reply.status).toBe(200)
    expect(client.received.toString('latin1').match(/HTTP\/1\.1 100 Continue/g)).toHaveLength(1)
    expect(world.upstream.lastRequest.body.equals(body)).toBe(true)
    expect(world.upstream.lastRequest.header('expect')).toBeUndefined()
    expectOwnAssertionOnly(world.upstream.lastRequest.rawHead)
  })
})

describe('Connection', () => {
  test('HS5, N3 cannot take away what we write', async () => {
    const named = 'X-Session-Assertion, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Forwarded, Via, X-Request-Id, Host, Content-Length, Cookie'
    const seen = await seenAfter(`Connection: close, ${named}\r\nContent-Length: 5\r\n`, { method: 'POST', body: 'hello' })
    expectOwnAssertionOnly(seen)
    const { lastRequest } = world.upstream
    expect(lastRequest.body.toString()).toBe('hello')
    expect(lastRequest.fields).toMatchObject({ 'host': 'a', 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'a', 'x-forwarded-proto': 'http', 'via': '1.1 sessiongate' })
    expect(lastRequest.fields).toHaveProperty('x-request-id')
    expect(lastRequest.header('connection') ?? '').not.toMatch(/forwarded|session|close/i)
  })

  test.each([
    ['in one line', 'Connection: close, X-Foo, X-Bar\r\n'], ['in several', 'Connection: X-Foo\r\nConnection: X-Bar, close\r\n'],
    ['in odd case', 'cOnNeCtIoN: x-fOO,X-bAR\r\n'], ['among empty elements', 'Connection: ,, X-Foo ,\t,X-Bar,\r\n'], ['after the fields', ''],
  ])('N1 fields named %s go no further', async (where, lines) => {
    const fields = 'X-Foo: 1\r\nx-bar: 2\r\nX-Kept: 3\r\n'
    const seen = await seenAfter(where === 'after the fields' ? `${fields}Connection: x-foo, x-bar\r\n` : `${lines}${fields}`)
    expect(seen).not.toMatch(/^x-(foo|bar)/im)
    expect(seen).toContain('X-Kept: 3')
  })

  test('N2, N7 connection-level fields end here', async () => {
    const seen = await seenAfter(
      'Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: trailers, gzip\r\nProxy-Authorization: Basic x\r\nProxy-Authenticate: Basic\r\n'
      + 'Proxy-Authentication-Info: x\r\nTrailer: X-A\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: h2c\r\nKeep_Alive: 1\r\nProxy_Connection: 1\r\nProxy: http://evil\r\n',
    )
    expect(seen).not.toMatch(/^(proxy|keep.alive|te|trailer|upgrade|http2)/im)
  })
})

// N35, A2, A12, A14: no word of a proxy from anyone who is not one.
const SPOOFED = [
  'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Prefix', 'X-Forwarded-Uri', 'X-Forwarded-Port', 'X-Forwarded-Server', 'X-Forwarded-User',
  'X-Forwarded-Email', 'X-Forwarded-Ssl', 'X-Forwarded-Anything', 'X-Forwarded', 'Forwarded', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'X-Cluster-Client-IP',
  'X-Original-URL', 'X-Rewrite-URL', 'X-Request-Id',
]
describe.each(SPOOFED)('N35 a spoofed %s', (name) => {
  test.each([name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.'), name.replace('-', '_')])('spelt %s', async (spelling) => {
    expect(await seenAfter(`${spelling}: ${FORGED}\r\n`)).not.toContain(FORGED)
  })
})

test('the address, host and protocol the upstream is told are those of the connection', async () => {
  await seenAfter('X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6;proto=https\r\n')
  const { lastRequest } = world.upstream
  expect(lastRequest.all('x-forwarded-for')).toEqual(['127.0.0.1'])
  expect(lastRequest.all('x-forwarded-proto')).toEqual(['http'])
  expect(lastRequest.all('x-forwarded-host')).toEqual(['a'])
  expect(lastRequest.all('forwarded')).toEqual(['for=127.0.0.1;host=a;proto=http'])
})

test.each(['Content_Length: 99', 'Transfer_Encoding: chunked', 'Host_: evil', 'Cookie_: x', 'Content.Length: 99'])('A1, A14 an alias that a careless server takes for framing: %s', async (line) => {
  const seen = await seenAfter(`Content-Length: 5\r\n${line}\r\n`, { method: 'POST', body: 'hello' })
  expect(seen).not.toMatch(/^(content[_.]length|transfer_encoding)/im)
  expect(world.upstream.lastRequest.body.toString()).toBe('hello')
})

test('N5 unknown fields pass as they came: order, case, duplicates, empty values, latin1', async () => {
  const sent = ['X-A: one', 'x-a: two', 'X-Odd-cAsE: v', 'Empty:', 'X-A: three', 'X-Latin: \xe4\xff', 'X-Quoted: "a, b"; c="\\""', '__proto__: p', 'constructor: c', 'hasOwnProperty: h', 'toString: t']
  await seenAfter(`${sent.join('\r\n')}\r\n`)
  const seen = world.upstream.lastRequest.headers.map(([name, value]) => `${name}: ${value}`.trimEnd())
  expect(seen.filter((line) => sent.includes(line))).toEqual(sent)
  expect(({} as Record<string, unknown>)['p']).toBeUndefined()
})

test('HS22, A34 names of Object.prototype are names like any other', async () => {
  for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'prototype', 'valueOf', '__defineGetter__']) {
    world.upstream.forget()
    await seenAfter(`${name}: x\r\n${name}: y\r\nCookie: ${name}=1\r\n`)
    expect(world.upstream.lastRequest.all(name)).toEqual(['x', 'y'])
  }
})

describe('N4 Via', () => {
  test('is appended to, in order, under a pseudonym', async () => {
    await seenAfter('Via: 1.0 fred, 1.1 p.example\r\nVia: 1.1 third\r\n')
    expect(world.upstream.lastRequest.all('via')).toEqual(['1.0 fred, 1.1 p.example, 1.1 third, 1.1 sessiongate'])
  })

  test('names the version the request came in', async () => {
    await rawRequest(world.url, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    expect(world.upstream.lastRequest.all('via')).toEqual(['1.0 sessiongate'])
  })

  test('shows a loop', async () => {
    const reply = await rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\nVia: ${Array(10).fill('1.1 sessiongate').join(', ')}\r\n\r\n`)
    expect(reply.status).toBe(508)
    expect(world.upstream.requests).toHaveLength(0)
    await seenAfter(`Via: ${Array(30).fill('1.1 sessiongate-2').join(', ')}\r\n`)
  })
})

test('A30, N50, SF2 nothing but the cookie names a session', async () => {
  const [, value] = cookie.split('=')
  await rawRequest(world.url, `POST /?sid=${value}&session=${value} HTTP/1.1\r\nHost: a\r\nX-Session-Id: ${value}\r\nSid: ${value}\r\nAuthorization: Bearer ${value}\r\nContent-Length: ${value!.length + 4}\r\n\r\nsid=${value}`)
  expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
})

describe('a prefix of the operator\'s choice', () => {
  test('owns its names and gives up the default ones', async () => {
    await using other = await startWorld({ config: { headerPrefix: 'Shop-Login-' } })
    other.upstream.respondOnce(rawResponse({ headers: [['Shop-Login-Patch', '{"user":"bob"}'], ['X-Session-Patch', '{"user":"eve"}']], body: 'ok' }))
    const first = await other.client.get('/')
    expect(first.header('shop-login-patch')).toBeUndefined()
    await other.client.get('/', { headers: { 'Shop-Login-Assertion': FORGED, 'shop_login_assertion': FORGED, 'X-Session-Assertion': 'an ordinary field' } })
    const { lastRequest } = other.upstream
    expect(lastRequest.all('x-session-assertion')).toEqual(['an ordinary field'])
    expect(lastRequest.all('shop-login-assertion')).toHaveLength(1)
    expect(lastRequest.rawHead).not.toContain(FORGED)
    expect(JSON.parse(Buffer.from(lastRequest.header('shop-login-assertion')!.split('.')[1]!, 'base64url').toString())).toMatchObject({ data: { user: 'bob' } })
  })
})
