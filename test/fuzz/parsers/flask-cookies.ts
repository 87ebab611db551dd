import assert from 'node:assert/strict'
import { createItsdangerousSigner } from '../../../src/adapters/flask/itsdangerous.ts'
import { membersOfTyped, typedOfMembers } from '../../../src/adapters/flask/members.ts'
import { decodeFlaskCookie, membersOfPayload, payloadOfMembers } from '../../../src/adapters/flask/session-cookie.ts'
import { createSignedIdCodec } from '../../../src/adapters/flask/signed-id.ts'
import { encodeBody } from '../../../src/adapters/flask/url-safe-body.ts'
import type { FuzzedParser } from '../parser.ts'

const signer = createItsdangerousSigner({ secrets: ['dev-secret-0001', 'old'], salt: 'cookie-session' })
const ids = createSignedIdCodec({ secrets: ['k'] })
const PAYLOADS = [
  '{"a":1}', '{" t":[1,2]}', '{"_permanent":true,"user":{"id":{" u":"00000000000000000000000000000001"}}}', '{"d":{" d":"Wed, 21 Oct 2015 07:28:00 GMT"},"b":{" b":"AAEC"},"m":{" m":"<b>"}}', '{"x":{" di":{"y":1}}}', '{"x":{" t__":1}}',
  'null', '[]', '{"a":NaN,"b":1E400,"c":-0.0,"d":123456789012345678901234567890}', '{"é":"\\ud800"}', ' { "a" : [ 1 , {} ] } ', '{"a":1,"a":2}',
]

/** The input as a cookie, as the body under a good signature, and as the JSON in such a body. */
export const parser: FuzzedParser = {
  seeds: [...PAYLOADS, signer.signAt(encodeBody('{"a":1}'), 1_767_225_600), signer.signAt(encodeBody(`{"a":"${'x'.repeat(200)}"}`, 10), 1), 'eyJhIjoxfQ', '.eJyrVkpUsjKsBQAPrQNb', '..', 'a.b.c'],
  words: ['{" t":[', '{" b":"', '{" m":"', '{" u":"', '{" d":"', '{" di":{', '__"', '"}', ']}', 'null', 'NaN', '-Infinity', '1e5', '\\u00e9', '\\ud83d', '"_permanent":true', '.', '=', '-', '_', 'Wed, 21 Oct 2015 07:28:00 GMT', '[[[[[[[['],
  check(input) {
    const text = input.toString()
    for (const cookie of [input.toString('latin1'), signer.signAt(text, 7), signer.signAt(encodeBody(text), 7)]) {
      for (const foreignTags of ['refuse', 'carry'] as const) {
        const decoded = decodeFlaskCookie(cookie, { signer, foreignTags, limit: { nowSeconds: 8, maxAgeSeconds: 60 } })
        if (!decoded.ok) continue
        const written = payloadOfMembers(decoded.members, false)
        assert.deepEqual(membersOfPayload(written, { foreignTags }), decoded.members)
        const typed = typedOfMembers(decoded.members)
        assert.deepStrictEqual(JSON.parse(JSON.stringify(typed)), typed)
        assert.deepStrictEqual(typedOfMembers(membersOfTyped(typed)), typed)
      }
    }
    assert.equal(ids.unsign(text), undefined)
  },
}
