import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createItsdangerousSigner } from '../../src/adapters/flask/itsdangerous.ts'
import { canonicalText, compareCodePoints, printJson } from '../../src/adapters/flask/json-printer.ts'
import { parseJson, splitMembers } from '../../src/adapters/flask/lossless-json.ts'
import { membersOfTyped, membersOfValues, typedOfMembers } from '../../src/adapters/flask/members.ts'
import { readMsgpack } from '../../src/adapters/flask/msgpack-reader.ts'
import { readPickle } from '../../src/adapters/flask/pickle.ts'
import { readFlaskRecord, writeFlaskRecord } from '../../src/adapters/flask/record.ts'
import { decodeFlaskCookie, encodeFlaskCookie, membersOfPayload, payloadOfMembers } from '../../src/adapters/flask/session-cookie.ts'
import { createSignedIdCodec } from '../../src/adapters/flask/signed-id.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'
import type { Json } from '../../src/session/session.ts'
import { anySession, anyStoredSession } from './flask-values.ts'

const vectors = JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as { cookie: string, redis_value_b64?: string, payload_json?: string }[]
const records = vectors.flatMap(({ redis_value_b64 }) => (redis_value_b64 ? [Buffer.from(redis_value_b64, 'base64')] : []))
const payloads = vectors.flatMap(({ payload_json }) => (payload_json ? [payload_json] : []))
const signer = createItsdangerousSigner({ secrets: ['dev-secret-0001'], salt: 'cookie-session' })

/** Bytes of a real record, some of them replaced, inserted or cut. */
const damagedRecord = fc.tuple(fc.constantFrom(...records), fc.array(fc.tuple(fc.nat(400), fc.nat(3), fc.uint8Array({ maxLength: 3 })), { minLength: 1, maxLength: 4 }))
  .map(([bytes, changes]) => changes.reduce((result, [at, cut, added]) => Buffer.concat([result.subarray(0, at), added, result.subarray(at + cut)]), bytes))
const damagedPayload = fc.tuple(fc.constantFrom(...payloads), fc.array(fc.tuple(fc.nat(120), fc.nat(3), fc.string({ unit: 'binary', maxLength: 2 })), { maxLength: 3 }))
  .map(([text, changes]) => changes.reduce((result, [at, cut, added]) => result.slice(0, at) + added + result.slice(at + cut), text))
const opcodes = fc.array(fc.constantFrom(...Buffer.from('(.pghj}dsu]lae)tNIJKMGFVXCBcRb\n01\x80\x04\x94\x93\x81\x85\x86\x87\x8f\x90\x88\x89\x8a\x8c\x95', 'latin1')), { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes))

test('no bytes make a record reader throw, and what is read can be written or is refused', () => {
  fc.assert(fc.property(fc.oneof(damagedRecord, opcodes, fc.uint8Array({ maxLength: 80 })), (bytes) => {
    for (const read of [readPickle(bytes), readMsgpack(bytes)]) expect(read.ok ? 'string' : typeof read.reason).toBe('string')
    const record = readFlaskRecord(bytes)
    if (!record.ok) return
    for (const format of ['msgpack', 'json'] as const) expect(typeof writeFlaskRecord(record.values, format).ok).toBe('boolean')
    expect(typeof typedOf(record.values)).toBe('object')
    expect(membersOfValues(record.values).size).toBe(record.values.size)
  }), { numRuns: 4000 })
})

test('no cookie makes the decoders throw', () => {
  const cookie = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[A-Za-z0-9_.=+/-]{0,80}$/), fc.constantFrom(...vectors.map((vector) => vector.cookie)))
  const codec = createSignedIdCodec({ secrets: ['k'] })
  fc.assert(fc.property(cookie, fc.option(fc.record({ nowSeconds: fc.nat(), maxAgeSeconds: fc.nat() }), { nil: undefined }), (value, limit) => {
    const decoded = decodeFlaskCookie(value, { signer, ...(limit && { limit }) })
    if (!decoded.ok) expect(['bad_signature', 'expired', 'future', 'bad_payload']).toContain(decoded.reason)
    expect(codec.unsign(value)).toBeUndefined()
  }), { numRuns: 1500 })
})

test('no body under a good signature makes the decoder throw', () => {
  const body = fc.oneof(fc.string({ unit: 'binary' }), damagedPayload.map((text) => Buffer.from(text).toString('base64url')), fc.base64String().map((text) => `.${text}`))
  fc.assert(fc.property(body, (text) => {
    const decoded = decodeFlaskCookie(signer.signAt(text, 1), { signer })
    if (!decoded.ok) expect(decoded.reason).toBe('bad_payload')
  }), { numRuns: 1500 })
})

test('no text makes the JSON readers throw; what they accept is stable', () => {
  fc.assert(fc.property(fc.oneof(damagedPayload, fc.string({ unit: 'binary' }), fc.json()), (text) => {
    const node = parseJson(text)
    const members = membersOfPayload(text, { foreignTags: 'carry' })
    expect(canonicalText(canonicalText(text))).toBe(canonicalText(text))
    if (node !== undefined) expect(printJson(parseJson(printJson(node)) ?? null)).toBe(printJson(node))
    if (members) expect(membersOfPayload(payloadOfMembers(members, false), { foreignTags: 'carry' })).toEqual(members)
  }), { numRuns: 1500 })
})

test('what JSON.parse accepts we accept, with the same meaning', () => {
  fc.assert(fc.property(fc.json({ stringUnit: 'binary' }), (text) => {
    const node = parseJson(text)
    expect(node !== undefined && JSON.parse(printJson(node))).toEqual(JSON.parse(text))
  }))
})

test('members come back from a cookie with the very bytes they went in with', () => {
  const members = fc.uniqueArray(fc.tuple(fc.string({ unit: 'binary', maxLength: 6 }), fc.oneof(fc.json(), fc.constantFrom('1.0', '[ 1 ,2]', '{ "b":1E5, "a":NaN}', '"\u00e9/"'))), { selector: ([name]) => name, maxLength: 5 })
    .map((entries) => new Map(entries.filter(([, text]) => !text.includes('" '))))
  fc.assert(fc.property(members, fc.boolean(), (sent, sortKeys) => {
    const decoded = decodeFlaskCookie(encodeFlaskCookie(sent, { signer, issuedAtSeconds: 7, sortKeys }), { signer, limit: { nowSeconds: 7, maxAgeSeconds: 0 } })
    if (!decoded.ok) return expect.fail(decoded.reason)
    expect(decoded.issuedAtSeconds).toBe(7)
    expect(new Map(decoded.members)).toEqual(sent)
    if (!sortKeys) expect([...decoded.members.keys()]).toEqual([...sent.keys()])
  }), { numRuns: 500 })
})

test('any JSON, whatever it pretends to be, is typed data with one stable form', () => {
  const markers = ['$tuple', '$set', '$map', '$bytes', '$uuid', '$datetime', '$timedelta', '$int', '$float', '$markup', '$json', '$dict']
  const { json } = fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof({ depthSize: 'small' }, fc.constantFrom<Json>(null, true, 1, 1.5, -0, 1e21, '1', '1.0', 'AA==', '{"a":1}', '2024-05-06T07:08:09'),
      fc.array(tie('json'), { maxLength: 3 }), fc.dictionary(fc.oneof(fc.constantFrom(...markers), fc.string()), tie('json'), { maxKeys: 2 })),
  }))
  fc.assert(fc.property(json, (data) => {
    const typed = typedOf(valueOfTyped(data))
    expect(typedOf(valueOfTyped(typed))).toEqual(typed)
    expect(JSON.parse(JSON.stringify(typed))).toEqual(typed)
    const members = membersOfTyped({ data })
    expect(membersOfTyped(typedOfMembers(members))).toEqual(members)
  }), { numRuns: 1000 })
})

test('typed data of a Flask cookie is kept exactly through its members', () => {
  fc.assert(fc.property(anySession, (data) => {
    expect(typedOfMembers(membersOfTyped(data))).toEqual(typedOf(valueOfTyped(data)))
  }))
})

test('values survive msgpack as far as msgspec carries them', () => {
  fc.assert(fc.property(anyStoredSession, (data) => {
    const values = valueOfTyped(data) as ReadonlyMap<string, never>
    const written = writeFlaskRecord(values, 'msgpack')
    if (!written.ok) expect(written.reason).toMatch(/64 bits|surrogate/)
    if (!written.ok) return
    const read = readFlaskRecord(written.bytes)
    if (!read.ok) return expect.fail(read.reason)
    const again = writeFlaskRecord(read.values, 'msgpack')
    expect(again.ok && Buffer.from(again.bytes)).toEqual(Buffer.from(written.bytes))
  }))
})

test('code point order is a total order that Array.from agrees with', () => {
  const unit = fc.constantFrom('a', '\ud7ff', '\ud800', '\udbff', '\udc00', '\udfff', '\ue000', '\uffff')
  const text = fc.array(unit, { maxLength: 5 }).map((units) => units.join(''))
  const slow = (left: string, right: string): number => {
    const [a, b] = [left, right].map((value) => Array.from(value, (character) => character.codePointAt(0) ?? 0)) as [number[], number[]]
    for (const [at, point] of a.entries()) if (point !== b[at]) return Math.sign(point - (b[at] ?? -1))
    return Math.sign(a.length - b.length)
  }
  fc.assert(fc.property(text, text, (left, right) => {
    expect(Math.sign(compareCodePoints(left, right))).toBe(slow(left, right))
  }), { numRuns: 2000 })
})

test('members are split as the parser reads them', () => {
  fc.assert(fc.property(damagedPayload, (text) => {
    const node = parseJson(text)
    const members = splitMembers(text)
    expect(members !== undefined).toBe(node instanceof Map)
    if (members) expect(`{${[...members].map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member)}`).join(',')}}`.length).toBeGreaterThan(1)
    for (const member of members?.values() ?? []) expect(parseJson(member)).not.toBeUndefined()
  }))
})
