import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunkLines, chunkNamesOf, splitChunks } from '../../src/http/cookie-chunks.ts'
import type { CookieAttributes } from '../../src/http/cookie.ts'
import type { RecordKey } from '../../src/session/codec.ts'
import { cookieIdOf, createCookieCodec, factsOfCookieId } from '../../src/session/cookie-codec.ts'
import type { EpochMs, JsonObject, Session, SessionId, Version } from '../../src/session/session.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { jsonObject } from '../support/json-arbitrary.ts'

const key = (id: string, fill: number): RecordKey => ({ id, bytes: Buffer.alloc(32, fill) })
const ring = (...keys: RecordKey[]) => createKeyRing(keys)
const codec = createCookieCodec(ring(key('c1', 1)), 'sid')
const VERSION = 'v'.repeat(16) as Version

function sessionOf(data: JsonObject, more: Partial<Session> = {}): Session {
  const session = {
    handle: 'h'.repeat(22), data, createdAt: 1_700_000_000_000 as EpochMs, touchedAt: 1_700_000_060_000 as EpochMs,
    permanent: false, idleMs: 1_800_000, absoluteMs: 86_400_000, ...more,
  }
  return { id: cookieIdOf(session), ...session }
}

test('a session comes out as it went in, and its text says nothing of it', () => {
  fc.assert(fc.property(jsonObject, fc.boolean(), fc.option(jsonObject, { nil: undefined }), fc.option(fc.nat(), { nil: undefined }), (data, permanent, jar, epoch) => {
    const session = sessionOf(data, { permanent, ...(jar && { jar }), ...(epoch === undefined ? {} : { epoch }) })
    const text = codec.seal(session, VERSION)
    expect(text).toMatch(/^c1\.[A-Za-z0-9_-]+$/)
    expect(codec.open(text)).toEqual({ session, version: VERSION, isCurrentKey: true })
  }))
  const told = sessionOf({ user: 'annabelle-canary' })
  const text = codec.seal(told, VERSION)
  for (const readable of ['annabelle', 'canary', told.handle, VERSION]) {
    expect(text).not.toContain(readable)
    expect(Buffer.from(text.slice(3), 'base64url').toString('latin1')).not.toContain(readable)
  }
  expect(codec.seal(told, VERSION)).not.toBe(text)
})

test('any character that is changed, taken out or put in, and any cut, is no session', () => {
  const text = codec.seal(sessionOf({ user: { id: 'ann' }, cart: [1, 2, 3] }), VERSION)
  const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ %~')
  fc.assert(fc.property(fc.nat(text.length - 1), character, fc.constantFrom('change', 'insert', 'remove', 'cut', 'tail'), (at, other, how) => {
    const tampered = how === 'change' ? text.slice(0, at) + other + text.slice(at + 1)
      : how === 'insert' ? text.slice(0, at) + other + text.slice(at)
        : how === 'remove' ? text.slice(0, at) + text.slice(at + 1)
          : how === 'cut' ? text.slice(0, at) : text + other
    fc.pre(tampered !== text)
    expect(codec.open(tampered)).toBeUndefined()
  }), { numRuns: 500 })
})

test('through the cookies of a browser and back; with any character of any cookie changed, no session', () => {
  const cookie: CookieAttributes = { name: 'sid', domain: undefined, path: '/', secure: true, httpOnly: true, sameSite: 'lax', partitioned: false }
  const names = chunkNamesOf('sid')
  const pairsOf = (session: Session): string[] => chunkLines(cookie, codec.seal(session, VERSION), undefined, session.touchedAt, []).map((line) => line.slice(0, line.indexOf(';')))
  const opened = (pairs: readonly string[]) => splitChunks([pairs.join('; ')], names).candidates.map((text) => codec.open(text)?.session).filter((session) => session !== undefined)
  const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.')
  fc.assert(fc.property(fc.nat(7_000), jsonObject, fc.nat(2), fc.nat(), character, (length, data, which, position, other) => {
    const session = sessionOf({ ...data, filling: 'x'.repeat(length) })
    const pairs = pairsOf(session)
    expect(opened(pairs)).toEqual([session])
    const at = which % pairs.length
    const pair = pairs[at] as string
    const start = pair.indexOf('=') + 1
    const place = start + position % (pair.length - start)
    fc.pre(pair[place] !== other)
    expect(opened(pairs.with(at, pair.slice(0, place) + other + pair.slice(place + 1)))).toEqual([])
  }), { numRuns: 100 })
})

test('every single bit counts', () => {
  const text = codec.seal(sessionOf({ n: 1 }), VERSION)
  const bytes = Buffer.from(text.slice(3), 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    expect(codec.open(`c1.${flipped.toString('base64url')}`)).toBeUndefined()
  }
})

test('whatever comes is no session and no error', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((tail) => `c1.${tail}`), fc.uint8Array({ maxLength: 80 }).map((bytes) => `c1.${Buffer.from(bytes).toString('base64url')}`)), (text) => {
    expect(codec.open(text)).toBeUndefined()
  }))
})

describe('keys and names', () => {
  const session = sessionOf({ n: 1 })

  test('under another cookie name, another key, another key id: no session', () => {
    const text = codec.seal(session, VERSION)
    expect(createCookieCodec(ring(key('c1', 1)), 'other').open(text)).toBeUndefined()
    expect(createCookieCodec(ring(key('c1', 2)), 'sid').open(text)).toBeUndefined()
    expect(createCookieCodec(ring(key('c2', 1)), 'sid').open(text)).toBeUndefined()
    expect(createCookieCodec(ring(key('c2', 1)), 'sid').open(text.replace('c1.', 'c2.'))).toBeUndefined()
  })

  test('an old key opens and says so, the first seals, a dropped one opens nothing', () => {
    const old = codec.seal(session, VERSION)
    const rotated = createCookieCodec(ring(key('c2', 2), key('c1', 1)), 'sid')
    expect(rotated.open(old)).toEqual({ session, version: VERSION, isCurrentKey: false })
    expect(rotated.seal(session, VERSION)).toMatch(/^c2\./)
    expect(createCookieCodec(ring(key('c2', 2)), 'sid').open(old)).toBeUndefined()
  })
})

test('an id says of its session what is needed without it, and no other store\'s id is taken for one', () => {
  const session = sessionOf({})
  expect(factsOfCookieId(cookieIdOf(session))).toEqual({ handle: session.handle, createdAt: session.createdAt })
  expect(factsOfCookieId('A'.repeat(43) as SessionId)).toBeUndefined()
})
