import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createItsdangerousSigner } from '../../src/adapters/flask/itsdangerous.ts'
import type { KeyDerivation } from '../../src/adapters/flask/itsdangerous.ts'
import { canonicalText } from '../../src/adapters/flask/json-printer.ts'
import { parseJson } from '../../src/adapters/flask/lossless-json.ts'
import { membersOfTyped, typedOfMembers } from '../../src/adapters/flask/members.ts'
import { readPickle } from '../../src/adapters/flask/pickle.ts'
import { decodeBase64Url } from '../../src/adapters/flask/python-base64.ts'
import { floatText } from '../../src/adapters/flask/python-number.ts'
import { readFlaskRecord } from '../../src/adapters/flask/record.ts'
import { decodeFlaskCookie, encodeFlaskCookie, membersOfPayload, payloadOfMembers } from '../../src/adapters/flask/session-cookie.ts'
import { createSignedIdCodec } from '../../src/adapters/flask/signed-id.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'
import { startFlaskPeer } from './flask-peer.ts'
import type { FlaskPeer } from './flask-peer.ts'
import { anySession, anyStoredSession } from './flask-values.ts'

let python: FlaskPeer
beforeAll(async () => { python = await startFlaskPeer() })
afterAll(() => python?.stop())

const NOW = 1_767_225_600
const RUNS = { numRuns: 150 }
const base64 = (data: string | Uint8Array) => Buffer.from(data).toString('base64')

const anySigning = fc.record({
  secrets: fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 70 }), { minLength: 1, maxLength: 3 }),
  salt: fc.constantFrom('cookie-session', 'other', ''),
  keyDerivation: fc.constantFrom<KeyDerivation>('hmac', 'concat', 'django-concat', 'none'),
  digest: fc.constantFrom('sha1', 'sha256', 'sha512', 'md5'),
})
const asked = ({ secrets, salt, keyDerivation, digest }: { secrets: string[], salt: string, keyDerivation: string, digest: string }, now = NOW) => {
  return { secrets: secrets.map(base64), salt, derivation: keyDerivation, digest, now }
}

test('what Flask signs we open, typed alike, and would write the same text', async () => {
  await fc.assert(fc.asyncProperty(anySession, anySigning, async (data, signing) => {
    const theirs = await python.ask<{ cookie: string, text: string }>('dumps', { value: data, ...asked(signing) })
    const decoded = decodeFlaskCookie(theirs.cookie, { signer: createItsdangerousSigner(signing), limit: { nowSeconds: NOW, maxAgeSeconds: 1 } })
    if (!decoded.ok) return expect.fail(decoded.reason)
    expect(decoded.payloadText).toBe(theirs.text)
    expect(typedOfMembers(decoded.members)).toEqual(typedOf(valueOfTyped(data)))
    expect(payloadOfMembers(decoded.members)).toBe(theirs.text)
    expect(payloadOfMembers(membersOfTyped(data))).toBe(theirs.text)
  }), RUNS)
})

test('what we sign Flask opens, byte for byte what it would have signed when not compressed', async () => {
  await fc.assert(fc.asyncProperty(anySession, anySigning, async (data, signing) => {
    const cookie = encodeFlaskCookie(membersOfTyped(data), { signer: createItsdangerousSigner(signing), issuedAtSeconds: NOW })
    const read = await python.ask<{ reason: string, equal: boolean }>('loads', { cookie, value: data, max_age: 0, ...asked(signing) })
    expect(read).toMatchObject({ reason: 'ok', equal: true })
    const theirs = await python.ask<{ cookie: string }>('dumps', { value: data, ...asked(signing) })
    // Two zlibs may disagree on what is shorter, by a byte or two.
    if (!cookie.startsWith('.') && !theirs.cookie.startsWith('.')) expect(cookie).toBe(theirs.cookie)
  }), RUNS)
})

test('of a damaged, old or early cookie we say what itsdangerous says', async () => {
  const signing = { secrets: ['k1', 'k2'], salt: 's', keyDerivation: 'hmac' as const, digest: 'sha1' }
  const signer = createItsdangerousSigner(signing)
  const damage = fc.array(fc.record({ at: fc.nat(90), text: fc.constantFrom('', '.', '=', '-', '_', '+', '/', 'A', '!', '\u00e9', ' ') , cut: fc.nat(2) }), { maxLength: 2 })
  await fc.assert(fc.asyncProperty(damage, fc.integer({ min: -3, max: 6 }), fc.boolean(), async (changes, age, isOld) => {
    const by = isOld ? createItsdangerousSigner({ ...signing, secrets: ['k2'] }) : signer
    const whole = encodeFlaskCookie(new Map([['a', '"bcdefgh"'], ['list', '[1,2,3]']]), { signer: by, issuedAtSeconds: NOW })
    const cookie = changes.reduce((text, { at, text: added, cut }) => text.slice(0, at) + added + text.slice(at + cut), whole)
    const theirs = await python.ask<{ reason: string }>('loads', { cookie, max_age: 3, ...asked(signing, NOW + age) })
    const ours = decodeFlaskCookie(cookie, { signer, limit: { nowSeconds: NOW + age, maxAgeSeconds: 3 } })
    expect(ours.ok ? 'ok' : ours.reason).toBe(theirs.reason)
  }), { numRuns: 400 })
})

const anyJsonish = fc.oneof(
  fc.json(), fc.json({ stringUnit: 'binary' }),
  fc.array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', '\\u00e', 'ud83d', '\\ude00', 'e', 'E', '+', '-', '.', '0', '1', '9', ' ', '\n', '\t', 'null',
    'true', 'NaN', 'Infinity', '"a"', '{"a":', '\u00e9', '\u{1f600}', '\ufeff', '\u00a0', '\u0001'), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('', '-'), fc.stringMatching(/^[0-9]{0,25}$/), fc.stringMatching(/^(\.[0-9]{0,20})?$/), fc.stringMatching(/^([eE][+-]?[0-9]{0,3})?$/))
    .map((parts) => parts.join('')),
)

test('we parse the JSON texts Python parses, and print them as it does', async () => {
  await fc.assert(fc.asyncProperty(anyJsonish, async (text) => {
    const theirs = await python.ask<{ ok: boolean, canonical?: string }>('parse', { text })
    expect(parseJson(text) !== undefined).toBe(theirs.ok)
    if (theirs.ok) expect(canonicalText(text)).toBe(theirs.canonical)
  }), { numRuns: 800 })
})

test('floats have the text Python gives them', async () => {
  await fc.assert(fc.asyncProperty(fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer({ min: -330, max: 308 }).map((power) => 10 ** power)), async (value) => {
    const bits = Buffer.alloc(8)
    bits.writeDoubleBE(value)
    expect(floatText(value)).toBe((await python.ask<{ text: string }>('repr', { bits: base64(bits) })).text)
  }), { numRuns: 400 })
})

test('base64 is read as leniently as Python reads it', async () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.array(fc.constantFrom('A', 'z', '9', '-', '_', '+', '/', '=', '!', '\u00e9'), { maxLength: 12 }).map((parts) => parts.join('')))
  await fc.assert(fc.asyncProperty(text, async (input) => {
    const theirs = await python.ask<{ bytes?: string }>('b64', { text: base64(input) })
    const ours = decodeBase64Url(input)
    expect(ours && base64(ours)).toBe(theirs.bytes)
  }), { numRuns: 500 })
})

test('a payload we accept never makes Flask raise', async () => {
  const { tagged } = fc.letrec<{ tagged: unknown }>((tie) => ({
    tagged: fc.oneof({ depthSize: 'medium', maxDepth: 5 }, fc.constantFrom<unknown>(null, 5, 'AA==', 'A', '', '0'.repeat(32), 'Wed, 31 Dec 2025 00:00:00 GMT', 'Wed, 31 Dec 0000 00:00:00 GMT'),
      fc.dictionary(fc.constantFrom(' t', ' b', ' m', ' u', ' d', ' di', ' t__', ' z__', 'x', '__'), tie('tagged'), { minKeys: 1, maxKeys: 2 }), fc.array(tie('tagged'), { maxLength: 2 })),
  }))
  await fc.assert(fc.asyncProperty(tagged, async (value) => {
    const text = JSON.stringify({ a: value, b: 1 })
    if (membersOfPayload(text)) expect(await python.ask('untag', { text })).toEqual({ ok: true })
  }), { numRuns: 500 })
})

test('signed ids are the same both ways', async () => {
  await fc.assert(fc.asyncProperty(fc.stringMatching(/^[A-Za-z0-9_-]{0,50}$/), fc.string({ minLength: 1 }), async (sid, secret) => {
    const codec = createSignedIdCodec({ secrets: [secret] })
    const theirs = await python.ask<{ cookie: string, valid: boolean }>('signer', { sid, secret: base64(secret), cookie: codec.sign(sid) })
    expect(theirs).toEqual({ cookie: codec.sign(sid), valid: true })
    expect(codec.unsign(theirs.cookie)).toBe(sid)
  }), { numRuns: 50 })
})

test.each([4, 5])('what Python pickles with protocol %i we read, typed alike', async (protocol) => {
  await fc.assert(fc.asyncProperty(anyStoredSession, async (data) => {
    const { bytes } = await python.ask<{ bytes: string }>('pickle', { value: data, protocol })
    const record = readFlaskRecord(Buffer.from(bytes, 'base64'))
    if (!record.ok) return expect.fail(record.reason)
    expect(await python.ask('equal', { left: typedOf(record.values), right: data })).toEqual({ equal: true })
  }), RUNS)
})

test('what Python pickles with protocol 0 we read where the listed opcodes reach', async () => {
  const plain = fc.dictionary(fc.string({ unit: 'binary', maxLength: 5 }), fc.oneof(
    fc.constantFrom<Json>(null, true, false, -1, 2 ** 31 - 1), fc.double().map((value) => ({ $float: floatText(value) })), fc.string({ unit: 'binary' }),
    fc.array(fc.integer({ min: -1000, max: 1000 }), { maxLength: 3 }), fc.constantFrom<Json>({ $tuple: [] }, { $tuple: ['a', 1] }, '\\u0041\\', 'a\nb'),
  ), { maxKeys: 4 })
  await fc.assert(fc.asyncProperty(plain, async (data) => {
    const { bytes } = await python.ask<{ bytes: string }>('pickle', { value: data, protocol: 0 })
    const read = readPickle(Buffer.from(bytes, 'base64'))
    if (!read.ok) return expect.fail(read.reason)
    expect(await python.ask('equal', { left: typedOf(read.value), right: data as JsonObject })).toEqual({ equal: true })
  }), RUNS)
})
