import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SessionCorruptError } from '../../src/errors.ts'
import { createPlainCodec, createSealedCodec, type Envelope } from '../../src/session/codec.ts'
import type { EpochMs } from '../../src/session/session.ts'
import { jsonObject } from '../support/json-arbitrary.ts'

const RECORD_KEY = { id: 'k', bytes: new Uint8Array(32).fill(7) }
const CODECS = [createPlainCodec(), createSealedCodec([RECORD_KEY])]
const handle = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'), minLength: 22, maxLength: 22 })
const live: fc.Arbitrary<Envelope> = fc.record({ handle, createdAt: fc.nat(2 ** 31), idleMs: fc.nat(), absoluteMs: fc.nat(), permanent: fc.boolean(), data: jsonObject })
  .map((session) => ({ kind: 'live', session: { ...session, createdAt: session.createdAt as EpochMs } }))

test('every session comes back as it was stored', () => {
  fc.assert(fc.property(live, fc.constantFrom(...CODECS), (envelope, codec) => {
    expect(JSON.stringify(codec.decode('key', codec.encode('key', envelope)))).toBe(JSON.stringify(envelope))
  }), { numRuns: 500 })
})

test('any bytes are a record or corrupt, never a bug', () => {
  const spoiled = fc.tuple(live, fc.constantFrom(...CODECS), fc.nat(), fc.uint8Array({ maxLength: 4 })).map(([envelope, codec, at, insert]) => {
    const bytes = Buffer.from(codec.encode('key', envelope))
    return Buffer.concat([bytes.subarray(0, at % (bytes.length + 1)), insert, bytes.subarray((at % (bytes.length + 1)) + (at % 3))])
  })
  const prefixed = fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 60 })).map(([version, rest]) => Buffer.from([version, ...rest]))
  fc.assert(fc.property(fc.oneof(spoiled, prefixed, fc.uint8Array({ maxLength: 60 })), fc.constantFrom(...CODECS), (bytes, codec) => {
    try {
      expect(['live', 'moved', 'gone']).toContain(codec.decode('key', bytes).kind)
    } catch (error) {
      expect(error).toBeInstanceOf(SessionCorruptError)
    }
  }), { numRuns: 2_000 })
})
