import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFlaskRecordCodec, NO_ABSOLUTE_MS } from '../../src/adapters/flask/shared-codec.ts'
import { createFlaskIdSigner } from '../../src/adapters/flask/shared-id.ts'
import { typedOf, valueOfTyped } from '../../src/adapters/flask/typed-json.ts'
import { MutationRefusedError, SessionCorruptError } from '../../src/errors.ts'
import type { EpochMs, JsonObject, SessionId, StoredSession } from '../../src/session/session.ts'
import { handleOf } from '../../src/signing/ids.ts'
import { jsonObject } from '../support/json-arbitrary.ts'

const LIFETIME_MS = 7_200_000
const SID = 'q0oFvJqkX5C0i7wA6c4g5sQyq1Yt8m2f3l6z9xR7b0E'
const codecOf = (format: 'msgpack' | 'json') => createFlaskRecordCodec({ format, lifetimeMs: LIFETIME_MS, handleSecret: 'handle' })
const sessionOf = (data: JsonObject, more: Partial<StoredSession> = {}): StoredSession => ({
  handle: handleOf(SID as SessionId, 'handle'), data, createdAt: 0 as EpochMs, permanent: false, idleMs: LIFETIME_MS, absoluteMs: NO_ABSOLUTE_MS, ...more,
})

/** Between 64 bits and the first number that JavaScript writes with an exponent lie integers that msgspec cannot write. */
function isWritable(data: unknown): boolean {
  return !JSON.stringify(data).match(/\d{19,}/)
}

/** Numbers that JavaScript cannot hold exactly, or writes otherwise, come back with their marker. */
function asPythonHasIt(data: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, typedOf(valueOfTyped(value))]))
}

describe.each(['msgpack', 'json'] as const)('%s', (format) => {
  const codec = codecOf(format)
  const roundTrip = (session: StoredSession) => codec.decode(SID, codec.encode(SID, { kind: 'live', session }))

  test('any JSON is read back as it was, and permanence beside it', () => {
    fc.assert(fc.property(jsonObject, fc.boolean(), (data, permanent) => {
      fc.pre(isWritable(data))
      expect(roundTrip(sessionOf(data, { permanent }))).toEqual({ kind: 'live', session: sessionOf(asPythonHasIt(data), { permanent }) })
    }), { numRuns: 200 })
  })

  test('permanence is the member Flask keeps it in', () => {
    const bytes = codec.encode(SID, { kind: 'live', session: sessionOf({ user: 'ann' }, { permanent: true }) })
    expect(Buffer.from(bytes).toString('latin1')).toContain('_permanent')
    expect(roundTrip(sessionOf({ user: 'ann', _permanent: true }))).toMatchObject({ session: { data: { user: 'ann' }, permanent: true } })
    expect(roundTrip(sessionOf({ user: 'ann', _permanent: false }, { permanent: true }))).toMatchObject({ session: { permanent: false } })
  })

  test('the marks of a rotation and of an emptied session come back, and are no record of the app', () => {
    for (const envelope of [{ kind: 'moved', sealedSuccessor: 'AbC-_1' }, { kind: 'gone' }] as const) {
      const bytes = codec.encode(SID, envelope)
      expect(codec.decode(SID, bytes)).toEqual(envelope)
      expect(bytes[0]).toBeLessThan(0x20)
    }
  })

  test.each<[string, StoredSession]>([
    ['a shorter idle lifetime', sessionOf({ a: 1 }, { idleMs: 1_000 })],
    ['an absolute lifetime', sessionOf({ a: 1 }, { absoluteMs: 1_000 })],
    ['what adapters keep beside the data', sessionOf({ a: 1 }, { jar: { cookie: 'x' } })],
  ])('%s is refused: the record has no room for it', (_what, session) => {
    expect(() => codec.encode(SID, { kind: 'live', session })).toThrow(MutationRefusedError)
  })

  test.each([['nothing', ''], ['a list', '[1]'], ['what was cut', '{"a":'], ['something else', 'hello'], ['a number', '\x07']])('%s is corrupt', (_what, text) => {
    expect(() => codec.decode(SID, Buffer.from(text, 'latin1'))).toThrow(SessionCorruptError)
  })
})

test('a number that the serializer of the app cannot write is refused', () => {
  expect(() => codecOf('msgpack').encode(SID, { kind: 'live', session: sessionOf({ n: { $int: '1'.repeat(30) } }) })).toThrow(MutationRefusedError)
})

test('every record of the vectors is read, whatever its format, as what the app meant', () => {
  const vectors = (JSON.parse(readFileSync(new URL('../vectors/flask-cookie-vectors.json', import.meta.url), 'utf8')) as { kind: string; redis_value_b64: string; payload: JsonObject | null }[])
    .filter(({ kind }) => kind === 'flask-session-redis')
  expect(vectors.length).toBeGreaterThan(20)
  for (const { redis_value_b64, payload } of vectors) {
    const envelope = codecOf('msgpack').decode(SID, Buffer.from(redis_value_b64, 'base64'))
    if (!payload) continue
    const { _permanent: permanent, ...data } = payload
    expect(envelope).toMatchObject({ kind: 'live', session: { data, ...(permanent === undefined ? {} : { permanent }) } })
  }
})

test('a cookie is the sid, or the sid that the app has signed; nothing else', () => {
  const plain = createFlaskIdSigner(undefined)
  const signing = createFlaskIdSigner(Buffer.from('the key of the app'))
  const id = SID as SessionId
  expect(plain.unsign(plain.sign(id))).toEqual({ id, isCurrentKey: true })
  expect(plain.sign(id)).toBe(SID)
  expect(signing.unsign(signing.sign(id))).toEqual({ id, isCurrentKey: true })
  for (const value of ['', 'short', `${SID}*`, `${SID}.x`, 'x'.repeat(129), '../../../../../../etc/passwd', `${SID}:gone`]) expect(plain.unsign(value)).toBeUndefined()
  for (const value of [SID, `${SID}.AAAAAAAAAAAAAAAAAAAAAAAAAAA`, createFlaskIdSigner(Buffer.from('another')).sign(id)]) expect(signing.unsign(value)).toBeUndefined()
})
