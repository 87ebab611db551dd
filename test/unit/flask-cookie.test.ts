import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createItsdangerousSigner } from '../../src/adapters/flask/itsdangerous.ts'
import type { KeyDerivation } from '../../src/adapters/flask/itsdangerous.ts'
import { canonicalText, printJson } from '../../src/adapters/flask/json-printer.ts'
import { parseJson } from '../../src/adapters/flask/lossless-json.ts'
import { membersOfTyped, typedOfMembers } from '../../src/adapters/flask/members.ts'
import {
  decodeFlaskCookie, encodeFlaskCookie, isPermanent, membersOfPayload, payloadOfMembers,
} from '../../src/adapters/flask/session-cookie.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'
import { encodeBody } from '../../src/adapters/flask/url-safe-body.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'

interface CookieVector {
  id: string, kind: string, note: string, cookie: string, valid: boolean, reason: string, exact_encode: boolean, compressed: boolean
  secret_b64: string, fallbacks: string[], salt: string, key_derivation: KeyDerivation, digest: string
  payload_json: string | null, typed: JsonObject | null, issued_at: number, verify_at: number, max_age: number
  payload_len?: number, payload_sha256?: string
}
const all = JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as CookieVector[]
const vectors = all.filter(({ kind }) => kind === 'flask-cookie')
const byId = (id: string) => vectors.find((vector) => vector.id === id) as CookieVector

function signerOf(vector: CookieVector, legacyTimestamps = false) {
  const secrets = [Buffer.from(vector.secret_b64, 'base64'), ...vector.fallbacks]
  return createItsdangerousSigner({
    secrets, salt: vector.salt, keyDerivation: vector.key_derivation, digest: vector.digest, legacyTimestamps,
  })
}

function decode(vector: CookieVector, options: { maxPayloadBytes?: number, legacyTimestamps?: boolean } = {}) {
  const limit = { nowSeconds: vector.verify_at, maxAgeSeconds: vector.max_age }
  return decodeFlaskCookie(vector.cookie, { signer: signerOf(vector, options.legacyTimestamps), limit, ...options })
}

function normalised(json: Json): Json {
  return typedOf(valueOfTyped(json))
}

test('all 74 cookie vectors are here', () => expect(vectors).toHaveLength(74))

test.each(vectors)('decodes $id: $note', (vector) => {
  const decoded = decode(vector, { maxPayloadBytes: 1 << 20 })
  if (!vector.valid) return expect(decoded).toEqual({ ok: false, reason: vector.reason })
  if (!decoded.ok) return expect.fail(decoded.reason)
  expect(decoded.issuedAtSeconds).toBe(vector.issued_at)
  if (vector.payload_json !== null) expect(decoded.payloadText).toBe(vector.payload_json)
  if (vector.payload_sha256) expect(createHash('sha256').update(decoded.payloadText).digest('hex')).toBe(vector.payload_sha256)
  else expect(typedOfMembers(decoded.members)).toEqual(normalised(vector.typed ?? {}))
})

test.each(vectors.filter(({ exact_encode, id }) => exact_encode && id !== 'signed-null'))('encodes $id byte for byte', (vector) => {
  const members = membersOfPayload(vector.payload_json ?? '')
  expect(members && encodeFlaskCookie(members, { signer: signerOf(vector), issuedAtSeconds: vector.issued_at })).toBe(vector.cookie)
})

test('signs null byte for byte', () => {
  const vector = byId('signed-null')
  expect(signerOf(vector).signAt(encodeBody('null'), vector.issued_at)).toBe(vector.cookie)
})

test.each(vectors.filter(({ typed, valid, id }) => typed && valid && !id.startsWith('signed-')))('writes the text of $id from its typed values', ({ typed, payload_json }) => {
  expect(payloadOfMembers(membersOfTyped(typed as JsonObject))).toBe(payload_json)
})

test.each(vectors.filter(({ payload_json, valid, id }) => payload_json && valid && !id.startsWith('signed-')))('reprints $id as Python wrote it', ({ payload_json }) => {
  const node = parseJson(payload_json ?? '')
  expect(node === undefined ? undefined : printJson(node)).toBe(payload_json)
  expect(canonicalText(payload_json ?? '')).toBe(payload_json)
})

test.each(vectors.filter(({ compressed, valid, payload_json }) => compressed && valid && payload_json))('compresses $id as Flask decides', (vector) => {
  const members = membersOfPayload(vector.payload_json ?? '') ?? new Map()
  const cookie = encodeFlaskCookie(members, { signer: signerOf(vector), issuedAtSeconds: vector.issued_at })
  expect(cookie.startsWith('.')).toBe(true)
  expect(decode({ ...vector, cookie })).toMatchObject({ ok: true, payloadText: vector.payload_json })
})

test('an inflated payload over 512 KiB is refused unless allowed', () => {
  const vector = byId('zip-bomb-512k')
  expect(decode(vector)).toEqual({ ok: false, reason: 'bad_payload' })
  expect(decode(vector, { maxPayloadBytes: vector.payload_len ?? 0 })).toMatchObject({ ok: true })
  expect(decode(vector, { maxPayloadBytes: (vector.payload_len ?? 0) - 1 })).toEqual({ ok: false, reason: 'bad_payload' })
})

test('a cookie of itsdangerous 0.24 opens with legacyTimestamps, and we can sign one', () => {
  const vector = byId('legacy-024-offset-ts')
  expect(decode(vector, { legacyTimestamps: true })).toMatchObject({ ok: true, issuedAtSeconds: vector.issued_at })
  expect(signerOf(vector, true).signAt(encodeBody('{"a":1}'), vector.issued_at)).toBe(vector.cookie)
  expect(decode(byId('basic-int'), { legacyTimestamps: true })).toMatchObject({ ok: true, issuedAtSeconds: byId('basic-int').issued_at })
})

test('without an age limit neither old nor future cookies are refused', () => {
  const signer = signerOf(byId('future-1s'))
  expect(decodeFlaskCookie(byId('future-1s').cookie, { signer })).toMatchObject({ ok: true })
  expect(decodeFlaskCookie(byId('expired-31d').cookie, { signer })).toMatchObject({ ok: true })
})

test('a signature from a fallback key opens, but the current key signs', () => {
  const vector = byId('fallback-second')
  const signer = signerOf(vector)
  const cookie = signer.signAt('e30', 1)
  expect(createItsdangerousSigner({ secrets: [Buffer.from(vector.secret_b64, 'base64')], salt: vector.salt }).unsign(cookie)).toBeDefined()
})

test('an empty secret is a programming error, not a signature', () => {
  expect(() => createItsdangerousSigner({ secrets: [], salt: 's' })).toThrow()
  expect(() => createItsdangerousSigner({ secrets: ['a', ''], salt: 's' })).toThrow()
})

test.each([
  '{"a":{" d":5}}', '{"a":{" d":"yesterday"}}', '{"a":{" d":"Wed, 31 Feb 2024 00:00:00 GMT"}}', '{"a":{" t":5}}', '{"a":{" u":"xyz"}}',
  '{"a":{" b":"%"}}', '{"a":{" b":7}}', '{"a":{" di":5}}', '{"a":{" di":{}}}', '{" t":[1,2]}', '{" di":5}', '[[{" t":null}]]', '"text"', '7',
])('a signed payload Flask would answer 500 to is refused: %s', (payload) => {
  expect(membersOfPayload(payload)).toBeUndefined()
})

test('an app that put its own class behind a standard tag keeps its values', () => {
  const payload = '{"when":{" d":"2024-05-06T07:08:09.123456"}}'
  const members = membersOfPayload(payload, { foreignTags: 'carry' })
  expect(members && payloadOfMembers(members)).toBe(payload)
  expect(members && typedOfMembers(members)).toEqual({ when: { $json: '{" d":"2024-05-06T07:08:09.123456"}' } })
  expect(members && payloadOfMembers(membersOfTyped(typedOfMembers(members)))).toBe(payload)
})

test('tags only the app knows survive, alone at the top too', () => {
  for (const payload of ['{"x":{" z":[1]}}', '{"x":{" di":{" z__":[1]}}}', '{" di":{" z__":[1]}}']) {
    const members = membersOfPayload(payload)
    expect(members && payloadOfMembers(members)).toBe(payload)
    expect(members && payloadOfMembers(membersOfTyped(typedOfMembers(members)))).toBe(payload)
  }
})

test('dicts that look like our typed markers, or like tags, stay dicts', () => {
  for (const payload of ['{"x":{"$tuple":[1]}}', '{"x":{"$dict":{"$int":"1"}}}', '{"$bytes":"AA=="}', '{"x":{" di":{" t__":1}}}']) {
    const members = membersOfPayload(payload)
    expect(members && payloadOfMembers(membersOfTyped(typedOfMembers(members)))).toBe(payload)
  }
})

test('typed values that are not well formed are ordinary dicts', () => {
  for (const json of [{ $tuple: 5 }, { $bytes: '!' }, { $int: '01' }, { $float: '1' }, { $datetime: 'noon' }, { $uuid: 'x' }, { $map: [[1]] }, { $json: '{' }]) {
    expect(typedOf(valueOfTyped(json))).toEqual({ $dict: json })
  }
})

test('members the app did not touch keep their text when typed data is written back', () => {
  const members = new Map([['kept', '[ 1E5,\n{"b":1, "a":2} ]'], ['changed', '1']])
  const data = typedOfMembers(members)
  expect([...membersOfTyped({ ...data, changed: 2 }, members)]).toEqual([['kept', '[ 1E5,\n{"b":1, "a":2} ]'], ['changed', '2']])
})

test.each([['true', true], ['1', true], ['false', false], ['null', false], ['0.00', false], ['"x"', true]])('_permanent %s is %s', (text, expected) => {
  expect(isPermanent(new Map([['_permanent', text]]))).toBe(expected)
  expect(isPermanent(new Map())).toBe(false)
})
