import { createHmac, createSecretKey } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHmacSha256 } from '../../src/signing/hmac.ts'

/** RFC 4231 section 4: key, data, HMAC-SHA-256; cases 1, 2, 3, 6 and 7. */
const VECTORS = [
  ['0b'.repeat(20), Buffer.from('Hi There').toString('hex'), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [Buffer.from('Jefe').toString('hex'), Buffer.from('what do ya want for nothing?').toString('hex'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
  ['aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  ['aa'.repeat(131), Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'), '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54'],
  ['aa'.repeat(131), Buffer.from('This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.').toString('hex'), '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2'],
] as const

test.each(VECTORS)('RFC 4231: under %s', (key, data, expected) => {
  const hmac = createHmacSha256(createSecretKey(Buffer.from(key, 'hex')))
  expect(Buffer.from(hmac(Buffer.from(data, 'hex').toString('latin1')), 'base64url').toString('hex')).toBe(expected)
})

test('agrees with node:crypto on every key and text, of any length and one after the other', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((array) => Buffer.from(array))
  const text = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 4_000, maxLength: 20_000 })).map((array) => Buffer.from(array).toString('latin1'))
  fc.assert(fc.property(bytes, fc.array(text, { minLength: 1, maxLength: 4 }), (secret, texts) => {
    const key = createSecretKey(secret)
    const hmac = createHmacSha256(key)
    for (const one of texts) expect(hmac(one)).toBe(createHmac('sha256', key).update(one, 'latin1').digest('base64url'))
  }))
})
