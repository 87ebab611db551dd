import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { connectRaw, rawRequest, type RawReply } from '../support/raw-client.ts'
import { cookieSigner, startWorld, type World } from '../support/world.ts'

// Our cookie among others: found byte-exactly, taken out, never guessed at (N41, N42, CK1 to CK6, CK11, A15, A58).

let world: World
let ann: string
let bob: string
beforeAll(async () => {
  world = await startWorld()
  ann = await loggedIn('ann')
  bob = await loggedIn('bob')
})
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

async function loggedIn(user: string): Promise<string> {
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', `{"user":"${user}"}`]], body: 'ok' }))
  const client = world.newClient()
  await client.get('/login')
  return client.jar.get('sid')!.value
}

async function send(...cookieLines: string[]): Promise<RawReply> {
  return rawRequest(world.url, `GET / HTTP/1.1\r\nHost: a\r\n${cookieLines.map((line) => `Cookie: ${line}\r\n`).join('')}\r\n`)
}

function user(): unknown {
  return (world.lastClaims()['data'] as Record<string, unknown>)['user']
}

async function metric(line: string): Promise<number> {
  const text = await world.metrics.registry.metrics()
  return Number(text.split('\n').find((candidate) => candidate.startsWith(`${line} `))?.slice(line.length + 1) ?? 0)
}

describe('CK1 two different valid cookies of ours', () => {
  test.each<[string, () => string[]]>([
    ['in one line', () => [`sid=${ann}; sid=${bob}`]], ['in one line, reversed', () => [`sid=${bob}; sid=${ann}`]],
    ['in two lines', () => [`sid=${ann}`, `sid=${bob}`]], ['in two lines, reversed', () => [`sid=${bob}`, `sid=${ann}`]],
    ['among others', () => [`a=1; sid=${ann}; b=2`, `c=3; sid=${bob}`]],
  ])('%s are none, and counted', async (_how, lines) => {
    const before = await metric('sessiongate_ambiguous_cookies_total')
    expect((await send(...lines())).status).toBe(200)
    expect(user()).toBeUndefined()
    expect(await metric('sessiongate_ambiguous_cookies_total') - before).toBe(1)
  })

  test('a valid one is found behind forged, stale and foreign ones; the same one twice is one', async () => {
    for (const lines of [[`sid=forged; sid=${ann}`], [`sid=${ann}; sid=forged`], ['sid=', `sid=${ann}`], [`sid=${ann}`, `sid=${ann}`], [`sid=c1.${'A'.repeat(43)}.${'A'.repeat(43)}; sid=${ann}`]]) {
      await send(...lines)
      expect(user()).toBe('ann')
    }
  })

  test('a valid one is found behind a hundred forged ones', async () => {
    expect((await send(...Array.from({ length: 100 }, (_, i) => `sid=${i}`), `sid=${ann}`)).status).toBe(200)
    expect(user()).toBe('ann')
  })
})

describe('CK2, CK11 what is not exactly a cookie of ours is no session, and nothing else', () => {
  const forged: Array<[string, (valid: string) => string]> = [
    ['quoted', (valid) => `sid="${valid}"`], ['percent-encoded', (valid) => `sid=${valid.replaceAll('.', '%2E')}`], ['with a tab inside', (valid) => `sid=${valid.slice(0, 9)}\t${valid.slice(9)}`],
    ['with a comma', (valid) => `sid=${valid},`], ['4097 bytes', () => `sid=${'a'.repeat(4_097)}`], ['an escaped NUL', (valid) => `sid=${valid}%00`], ['empty', () => 'sid='], ['a lone name', () => 'sid'],
    ['$Version before it', (valid) => `$Version=1,sid=${valid}`], ['another case', (valid) => `SID=${valid}`], ['prefixed', (valid) => `xsid=${valid}`], ['suffixed', (valid) => `sidx=${valid}`], ['doubled equals', (valid) => `sid==${valid}`],
    ['white space of another kind before the name', (valid) => `\xa0sid=${valid}`], ['the same, as UTF-8', (valid) => `\xc2\xa0sid=${valid}`], ['next line before the name', (valid) => `\x85sid=${valid}`], ['white space of another kind behind the name', (valid) => `sid\xa0=${valid}`],
    ['in quotes of another cookie', (valid) => `a="; sid=${valid}x"`], ['truncated', (valid) => `sid=${valid.slice(0, -1)}`], ['extended', (valid) => `sid=${valid}A`], ['without its key id', (valid) => `sid=${valid.replace(/^\w+\./, '')}`],
    ['another key id', (valid) => `sid=${valid.replace(/^c1/, 'c9')}`], ['the signature of another', () => `sid=${ann.split('.').slice(0, 2).join('.')}.${bob.split('.')[2]}`], ['s: before it', (valid) => `sid=s:${valid}`],
    ['__proto__', () => 'sid=__proto__'], ['a path', () => 'sid=../../etc/passwd'], ['a store key', () => 'sid=session:*'], ['non-ASCII', () => 'sid=\xff\xfe'],
  ]
  test.each(forged)('%s', async (_what, cookie) => {
    const none = await send()
    const reply = await send(cookie(ann))
    expect(reply.status).toBe(200)
    expect(reply.header('set-cookie')).toBeUndefined()
    expect(reply.headers.filter(([name]) => !/^(date)$/i.test(name))).toEqual(none.headers.filter(([name]) => !/^(date)$/i.test(name)))
    expect(user()).toBeUndefined()
    expect(world.lastClaims()).toMatchObject({ new: true, data: {} })
  })

  test('every single bit of a valid one, flipped', async () => {
    const signed = Buffer.from(ann, 'latin1')
    const variants = new Set<string>()
    for (let bit = 0; bit < signed.length * 8; bit++) {
      const flipped = Buffer.from(signed)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const text = flipped.toString('latin1')
      if (/^[\x21-\x7e]+$/.test(text) && !text.includes(';')) variants.add(text)
    }
    expect(variants.size).toBeGreaterThan(400)
    using client = await connectRaw(world.url)
    for (const variant of variants) {
      await client.request(`GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=${variant}\r\n\r\n`)
      expect(world.lastClaims(), variant).toMatchObject({ new: true, data: {} })
    }
    await send(`sid=${ann}`)
    expect(user()).toBe('ann')
  })
})

describe('CK3, A15, A58 cookies that are only separators', () => {
  test.each([';', '=', '"', '; ', ' ;', '\t', '=;', ';="', 'sid', 'sid=', 'sid;', 'sid ', ' sid =;', ','])('15 KB of %j take no time', async (unit) => {
    const line = unit.repeat(Math.floor(15_000 / unit.length))
    await send(line)
    const cpu = process.cpuUsage()
    for (let i = 0; i < 5; i++) expect((await send(line)).status).toBe(200)
    const { user: microseconds } = process.cpuUsage(cpu)
    expect(microseconds / 5).toBeLessThan(25_000)      // client, gateway and upstream together, in one slow process
  })
})

test('CK4 ours is found behind three hundred others', async () => {
  const others = Array.from({ length: 300 }, (_, i) => `c${i}=${i}`).join('; ')
  await send(`${others}; sid=${ann}`)
  expect(user()).toBe('ann')
  expect(world.upstream.lastRequest.all('cookie')).toEqual([others])
})

describe('CK5 other cookies pass byte for byte', () => {
  test.each<[string, string[], string[]]>([
    ['before', ['sid=@; a=1; b=2'], ['a=1; b=2']], ['between', ['a=1; sid=@; b=2'], ['a=1; b=2']], ['behind', ['a=1; b=2; sid=@'], ['a=1; b=2']], ['in a line of its own', ['a=1', 'sid=@', 'b=2'], ['a=1', 'b=2']],
    ['odd spacing', ['a=1;sid=@;  b=2 ;c=3'], ['a=1;  b=2 ;c=3']], ['empty members', ['a=1;;sid=@; ;b=2'], ['a=1;; ;b=2']], ['a trailing semicolon', ['a=1; sid=@;'], ['a=1;']], ['quotes and commas', ['a="x; y", b; sid=@; c={"d":1}'], ['a="x; y", b; c={"d":1}']],
    ['names like ours', ['sidx=1; sid=@; xsid=2; SID=3; s%69d=4; a=sid=5'], ['sidx=1; xsid=2; SID=3; s%69d=4; a=sid=5']], ['non-ASCII', ['a=\xe4\xff; sid=@; b=\xc3\xa4'], ['a=\xe4\xff; b=\xc3\xa4']], ['spaces around ours', ['a=1;  sid = @ ; b=2'], ['a=1; b=2']],
    ['none of ours', ['a=1;b', '=x; ;'], ['a=1;b', '=x; ;']], ['ours twice', ['sid=@; a=1; sid=@'], ['a=1']],
  ])('%s', async (_what, lines, seen) => {
    await send(...lines.map((line) => line.replaceAll('@', ann)))
    expect(world.upstream.lastRequest.all('cookie')).toEqual([seen.join('; ')])
  })

  test('CK6 with only ours the upstream gets no Cookie field', async () => {
    for (const line of [`sid=${ann}`, ` sid=${ann};`, `sid=${ann}; sid=${ann}`, 'sid=forged', 'sid']) {
      await send(line)
      expect(world.upstream.lastRequest.all('cookie')).toEqual([])
    }
  })

  test('a route without sessions takes it out all the same', async () => {
    await using other = await startWorld({ routes: [{ session: 'none' }] })
    await rawRequest(other.url, `GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; sid=${ann}\r\n\r\n`)
    expect(other.upstream.lastRequest.all('cookie')).toEqual(['a=1'])
    expect(other.upstream.lastRequest.rawHead).not.toContain('x-session')
  })
})

test('N51, SF1 a well-formed id that no one was given is not adopted: its bearer gets a new one', async () => {
  const signer = cookieSigner
  const unknown = signer.sign('A'.repeat(43) as Parameters<typeof signer.sign>[0])
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"user":"eve"}']], body: 'ok' }))
  const reply = await send(`sid=${unknown}`)
  expect(reply.header('set-cookie')).toBeDefined()
  expect(reply.header('set-cookie')).not.toContain('AAAAAAAA')
  await send(`sid=${unknown}`)
  expect(user()).toBeUndefined()
})
