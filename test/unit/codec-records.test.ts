import { describe, expect, test } from 'vitest'
import { createPlainCodec, createSealedCodec, type Envelope, type RecordKey } from '../../src/session/codec.ts'
import { SessionCorruptError } from '../../src/errors.ts'
import type { EpochMs } from '../../src/session/session.ts'

const key = (id: string, fill: number): RecordKey => ({ id, bytes: new Uint8Array(32).fill(fill) })
const LIVE: Envelope = {
  kind: 'live',
  session: { handle: 'abcDEF_-0123456789abcd', data: { 'ä\u2028"\\': ['😀', null, { __x: 1 }], n: 0.1 }, createdAt: 1_700_000_000_000 as EpochMs, permanent: true, idleMs: 1, absoluteMs: 2 },
}
const ENVELOPES: Envelope[] = [LIVE, { kind: 'moved', sealedSuccessor: 'Zm9v_-' }, { kind: 'gone' }]
const plain = createPlainCodec()
const sealed = createSealedCodec([key('k1', 1)])
const CODECS = [['plain', plain], ['sealed', sealed]] as const

describe.each(CODECS)('%s records', (_name, codec) => {
  test.each(ENVELOPES)('round trip: $kind', (envelope) => expect(codec.decode('store-key', codec.encode('store-key', envelope))).toEqual(envelope))

  test('are read from any view of a larger buffer', () => {
    const bytes = codec.encode('k', LIVE)
    const larger = new Uint8Array(bytes.length + 9)
    larger.set(bytes, 4)
    expect(codec.decode('k', larger.subarray(4, 4 + bytes.length))).toEqual(LIVE)
  })

  test('cut at any length, they are corrupt', () => {
    const bytes = codec.encode('k', LIVE)
    for (let length = 0; length < bytes.length; length++) expect(() => codec.decode('k', bytes.subarray(0, length))).toThrow(SessionCorruptError)
  })

  test('a newer version is not guessed at', () => {
    const bytes = Uint8Array.from(codec.encode('k', LIVE))
    for (const version of [0, 3, 9, 123, 255]) {
      bytes[0] = version
      expect(() => codec.decode('k', bytes)).toThrow(/version \d+ is not known here/)
    }
  })
})

describe('plain records of the wrong shape', () => {
  const LIVE_TEXT = '{"h":"h","c":1,"i":1,"a":1,"p":false,"d":{}}'
  const rows = [
    '', 'null', '1', '[]', '"x"', '{}', '{"g":1}', '{"m":1}', '{"h":"h"}', '{"h":1,"c":1,"i":1,"a":1,"p":false,"d":{}}',
    LIVE_TEXT.replace('"d":{}', '"d":[]'), LIVE_TEXT.replace('"d":{}', '"d":null'), LIVE_TEXT.replace('"c":1', '"c":"1"'), LIVE_TEXT.replace('false', '0'), `${LIVE_TEXT}x`,
  ]
  test.each(rows)('%s', (text) => expect(() => plain.decode('k', Buffer.from(`\x01${text}`))).toThrow(SessionCorruptError))
  test('the row they are made from is whole', () => expect(plain.decode('k', Buffer.from(`\x01${LIVE_TEXT}`)).kind).toBe('live'))
})

describe('sealed records', () => {
  test('are refused under another store key', () => {
    expect(() => sealed.decode('other', sealed.encode('mine', LIVE))).toThrow(SessionCorruptError)
  })

  test('do not survive a flipped bit anywhere', () => {
    const bytes = Uint8Array.from(sealed.encode('k', LIVE))
    for (let i = 0; i < bytes.length; i++) {
      const spoiled = Uint8Array.from(bytes)
      spoiled[i] = (spoiled[i] as number) ^ 0x10
      expect(() => sealed.decode('k', spoiled)).toThrow(SessionCorruptError)
    }
  })

  test('hold no plain text and differ each time', () => {
    const [one, other] = [sealed.encode('k', LIVE), sealed.encode('k', LIVE)]
    expect(Buffer.from(one).equals(Buffer.from(other))).toBe(false)
    expect(Buffer.from(one).includes('abcDEF')).toBe(false)
  })

  test('key rotation: the first encrypts, all decrypt, a dropped key is corrupt and named in no message', () => {
    const rotated = createSealedCodec([key('k2', 2), key('k1', 1)])
    expect(rotated.decode('k', sealed.encode('k', LIVE))).toEqual(LIVE)
    expect(() => sealed.decode('k', rotated.encode('k', LIVE))).toThrow('no record key has its key id')
  })

  test('the same key id with other bytes is refused', () => {
    expect(() => createSealedCodec([key('k1', 9)]).decode('k', sealed.encode('k', LIVE))).toThrow(SessionCorruptError)
  })

  test('encryption can be switched on over plain records, and not off over sealed ones', () => {
    expect(sealed.decode('k', plain.encode('k', LIVE))).toEqual(LIVE)
    expect(() => plain.decode('k', sealed.encode('k', LIVE))).toThrow(SessionCorruptError)
  })
})
