// Makes assertion-vectors.json: what every verifier must accept and refuse, and what every adapter must emit.
//   node test/vectors/make-assertion-vectors.mjs          writes the file
// Keys are the published examples of RFC 8037 (appendix A) and RFC 7515 (appendix A.3): good for vectors, worthless as secrets.
import { createHmac, createPrivateKey, sign as signWith } from 'node:crypto'
import { writeFileSync } from 'node:fs'

const ISSUED_AT = 1_767_225_600 // 2026-01-01
const FAR_FUTURE = 4_102_444_800 // 2100-01-01
const PAST = 1_767_225_660

const secrets = {
  h1: 'vector-secret-one-7c1f0c2b5d9e4a38b6',
  h2: 'vector-secret-two-0d9b6e1f7a2c4583ce',
}
const eddsa = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }
const es256 = {
  kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0', d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
}
const publicJwk = ({ d: _private, ...jwk }, kid, alg) => ({ ...jwk, kid, alg, use: 'sig' })

const kidOf = { HS256: 'h1', EdDSA: 'e1', ES256: 'p1' }
const claimsOf = (extra = {}) => ({
  iss: 'sessiongate', aud: 'app', iat: ISSUED_AT, exp: FAR_FUTURE, sid: 'Zk3vQ8yQ2mJr0b7hQyWw5A', ver: 'v7', new: false, permanent: false,
  data: { user: { id: 'ann' }, count: 7 }, ...extra,
})
const without = (object, ...names) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
const b64 = (value) => Buffer.from(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value)).toString('base64url')
const padded = (segment) => segment.padEnd(Math.ceil(segment.length / 4) * 4, '=')

const signers = {
  HS256: (input, secret = secrets.h1) => createHmac('sha256', secret).update(input).digest(),
  EdDSA: (input) => signWith(null, Buffer.from(input), createPrivateKey({ key: eddsa, format: 'jwk' })),
  ES256: (input, dsaEncoding = 'ieee-p1363') => signWith('sha256', Buffer.from(input), { key: createPrivateKey({ key: es256, format: 'jwk' }), dsaEncoding }),
}
function token(alg, { claims = claimsOf(), header = {}, sign = signers[alg], drop = [] } = {}) {
  const input = `${b64(without({ alg, typ: 'session+jwt', kid: kidOf[alg], ...header }, ...drop))}.${typeof claims === 'string' ? b64(claims) : b64(claims)}`
  return `${input}.${b64(sign(input))}`
}
const flip = (text, at) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)

const accepted = (id, alg, claims, options = {}) => ({ id, alg, valid: true, token: token(alg, { claims, ...options }), claims })
const refused = (id, alg, reason, text, extra = {}) => ({ id, alg, valid: false, reason, token: text, ...extra })
/** Another spelling of a genuine token (or one that only a library with more features understands). Our adapters refuse it; a library that accepts it opens no door. */
const spelling = (id, alg, text) => refused(id, alg, 'not base64url', text, { onlyStrict: true })

const assertions = []
for (const alg of ['HS256', 'EdDSA', 'ES256']) {
  const genuine = token(alg)
  const [head, body, signature] = genuine.split('.')
  const at = (name) => `${alg.toLowerCase()}-${name}`
  assertions.push(
    accepted(at('valid'), alg, claimsOf()),
    accepted(at('valid-new'), alg, without(claimsOf({ new: true, data: {} }), 'sid', 'ver')),
    accepted(at('valid-non-ascii'), alg, claimsOf({ sub: 'zoë', permanent: true, data: { name: '王芳', emoji: '😀 "\\/', nul: '\u0000', sep: '\u2028', del: '\u007f' } })),
    accepted(at('valid-odd-names'), alg, claimsOf({ data: JSON.parse('{"__proto__":{"admin":true},"constructor":1,"":"empty","a.b":[null,{"c":null}]}') })),
    refused(at('expired'), alg, 'expired', token(alg, { claims: claimsOf({ exp: PAST }) })),
    refused(at('no-exp'), alg, 'expired', token(alg, { claims: without(claimsOf(), 'exp') })),
    refused(at('exp-text'), alg, 'expired', token(alg, { claims: claimsOf({ exp: 'never' }) })),
    refused(at('wrong-audience'), alg, 'audience', token(alg, { claims: claimsOf({ aud: 'other' }) })),
    refused(at('audience-prefix'), alg, 'audience', token(alg, { claims: claimsOf({ aud: 'ap' }) })),
    refused(at('no-audience'), alg, 'audience', token(alg, { claims: without(claimsOf(), 'aud') })),
    refused(at('alg-none'), alg, 'algorithm', token(alg, { header: { alg: 'none' }, sign: () => '' })),
    refused(at('alg-none-case'), alg, 'algorithm', token(alg, { header: { alg: 'NonE' }, sign: () => '' })),
    refused(at('alg-none-signed'), alg, 'algorithm', token(alg, { header: { alg: 'none' } })),
    refused(at('no-alg'), alg, 'algorithm', token(alg, { drop: ['alg'] })),
    refused(at('unknown-crit'), alg, 'critical header', token(alg, { header: { crit: ['urgent'], urgent: true } })),
    refused(at('crit-b64'), alg, 'critical header', token(alg, { header: { crit: ['b64'], b64: true } }), { onlyStrict: true }),
    refused(at('unknown-kid'), alg, 'key', token(alg, { header: { kid: 'nobody' } })),
    refused(at('no-kid'), alg, 'key', token(alg, { drop: ['kid'] })),
    refused(at('kid-proto'), alg, 'key', token(alg, { header: { kid: '__proto__' } })),
    refused(at('wrong-typ'), alg, 'type', token(alg, { header: { typ: 'JWT' } })),
    refused(at('no-typ'), alg, 'type', token(alg, { drop: ['typ'] })),
    refused(at('tampered-claims'), alg, 'signature', `${head}.${b64(claimsOf({ data: { user: { id: 'root' } } }))}.${signature}`),
    refused(at('tampered-header'), alg, 'signature', `${b64({ typ: 'session+jwt', alg, kid: kidOf[alg] })}.${body}.${signature}`),
    refused(at('tampered-signature'), alg, 'signature', `${head}.${body}.${flip(signature, 10)}`),
    refused(at('cut-signature'), alg, 'signature', `${head}.${body}.${signature.slice(0, -4)}`),
    refused(at('no-signature'), alg, 'signature', `${head}.${body}.`),
    refused(at('two-segments'), alg, 'form', `${head}.${body}`),
    refused(at('four-segments'), alg, 'form', `${genuine}.e30`),
    spelling(at('trailing-dot'), alg, `${genuine}.`),
    refused(at('twice'), alg, 'form', `${genuine}, ${genuine}`),
    refused(at('claims-not-json'), alg, 'form', token(alg, { claims: '{"data":' })),
    refused(at('claims-not-object'), alg, 'form', token(alg, { claims: '["app"]' })),
    refused(at('header-not-json'), alg, 'form', `${b64('alg')}.${body}.${signature}`),
    refused(at('empty'), alg, 'form', ''),
    spelling(at('padded-signature'), alg, `${head}.${body}.${padded(signature)}`),
    spelling(at('spaced-signature'), alg, `${head}.${body}.${signature.slice(0, 8)} ${signature.slice(8)}`),
  )
}

function signedOver(head, body, alg = 'HS256') {
  return `${head}.${body}.${b64(signers[alg](`${head}.${body}`))}`
}
const h = { alg: 'HS256', typ: 'session+jwt', kid: 'h1' }
const publicX = Buffer.from(eddsa.x, 'base64url')
assertions.push(
  { ...accepted('hs256-valid-retired-key', 'HS256', claimsOf(), { header: { kid: 'h2' }, sign: (input) => signers.HS256(input, secrets.h2) }) },
  refused('hs256-other-key', 'HS256', 'signature', token('HS256', { header: { kid: 'h2' } })),
  refused('hs256-hs384', 'HS256', 'algorithm', token('HS256', { header: { alg: 'HS384' }, sign: (input) => createHmac('sha384', secrets.h1).update(input).digest() })),
  refused('hs256-eddsa-token', 'HS256', 'algorithm', token('EdDSA')),
  refused('hs256-eddsa-token-own-kid', 'HS256', 'algorithm', token('EdDSA', { header: { kid: 'h1' } })),
  refused('hs256-data-list', 'HS256', 'data', token('HS256', { claims: claimsOf({ data: ['a'] }) }), { onlyStrict: true }),
  refused('hs256-no-data', 'HS256', 'data', token('HS256', { claims: without(claimsOf(), 'data') }), { onlyStrict: true }),
  spelling('hs256-padded-segments', 'HS256', signedOver(padded(b64(h)), padded(b64({ ...claimsOf(), x: 1 })))),
  spelling('hs256-padded-claims', 'HS256', signedOver(b64(h), padded(b64({ ...claimsOf(), x: 'ab' })).replace(/=*$/, '=='))),
  refused('eddsa-public-key-as-hmac-secret', 'EdDSA', 'algorithm', token('HS256', { header: { kid: 'e1' }, sign: (input) => createHmac('sha256', publicX).update(input).digest() })),
  refused('eddsa-hs256-token', 'EdDSA', 'algorithm', token('HS256')),
  refused('es256-hs256-token', 'ES256', 'algorithm', token('HS256')),
  refused('es256-eddsa-token', 'ES256', 'algorithm', token('EdDSA')),
  refused('es256-der-signature', 'ES256', 'signature', token('ES256', { sign: (input) => signers.ES256(input, 'der') })),
  refused('es256-zero-signature', 'ES256', 'signature', token('ES256', { sign: () => new Uint8Array(64) })),
  refused('eddsa-zero-signature', 'EdDSA', 'signature', token('EdDSA', { sign: () => new Uint8Array(64) })),
)

// What an adapter emits for a change. `patch` absent: no header. `control` lists the directives. `cleared`: the app emptied the
// session by its framework's own call (clear, flush, invalidate, destroy) before it wrote what is in `after`.
const patches = [
  { id: 'nothing', before: { a: 1 }, after: { a: 1 } },
  { id: 'nothing-new', before: {}, after: {} },
  { id: 'first', before: {}, after: { user: { id: 'ann' } }, patch: { user: { id: 'ann' } } },
  { id: 'add', before: { a: 1 }, after: { a: 1, b: 'two' }, patch: { b: 'two' } },
  { id: 'change', before: { a: 1, b: 2 }, after: { a: 1, b: 3 }, patch: { b: 3 } },
  { id: 'remove', before: { a: 1, b: 2 }, after: { a: 1 }, patch: { b: null } },
  { id: 'remove-last', before: { a: 1 }, after: {}, patch: { a: null } },
  { id: 'nested-change', before: { user: { id: 'ann', seen: 1 }, x: 1 }, after: { user: { id: 'ann', seen: 2 }, x: 1 }, patch: { user: { seen: 2 } } },
  { id: 'nested-remove', before: { cart: { a: 1, b: 2 } }, after: { cart: { a: 1 } }, patch: { cart: { b: null } } },
  { id: 'nested-deep', before: { a: { b: { c: { d: 1, e: 2 } } } }, after: { a: { b: { c: { d: 1, e: 3 } } } }, patch: { a: { b: { c: { e: 3 } } } } },
  { id: 'list-append', before: { list: [1, 2] }, after: { list: [1, 2, 3] }, patch: { list: [1, 2, 3] } },
  { id: 'list-order', before: { list: ['a', 'b'] }, after: { list: ['b', 'a'] }, patch: { list: ['b', 'a'] } },
  { id: 'list-same', before: { list: [{ a: 1, b: [2] }] }, after: { list: [{ b: [2], a: 1 }] } },
  { id: 'list-nested-change', before: { list: [{ a: 1 }] }, after: { list: [{ a: 2 }] }, patch: { list: [{ a: 2 }] } },
  { id: 'list-empty', before: { list: ['a'] }, after: { list: [] }, patch: { list: [] } },
  { id: 'object-emptied', before: { cart: { a: 1 } }, after: { cart: {} }, patch: { cart: { a: null } } },
  { id: 'key-order', before: { a: 1, b: { c: 1, d: 2 } }, after: { b: { d: 2, c: 1 }, a: 1 } },
  { id: 'type-number-text', before: { a: 1 }, after: { a: '1' }, patch: { a: '1' } },
  { id: 'type-number-true', before: { a: 1, b: 0 }, after: { a: true, b: false }, patch: { a: true, b: false } },
  { id: 'type-number-true-in-list', before: { a: [1] }, after: { a: [true] }, patch: { a: [true] } },
  { id: 'type-text-empty', before: { a: false }, after: { a: '' }, patch: { a: '' } },
  { id: 'object-to-scalar', before: { a: { b: 1 } }, after: { a: 'x' }, patch: { a: 'x' } },
  { id: 'scalar-to-object', before: { a: 'x' }, after: { a: { b: 1 } }, patch: { a: { b: 1 } } },
  { id: 'list-to-object', before: { a: [1] }, after: { a: { b: 1 } }, patch: { a: { b: 1 } } },
  { id: 'fraction', before: {}, after: { price: 12.5, small: -0.001 }, patch: { price: 12.5, small: -0.001 } },
  { id: 'large-integer', before: {}, after: { n: 9007199254740991 }, patch: { n: 9007199254740991 } },
  { id: 'non-ascii', before: {}, after: { name: '王芳', emoji: '😀', quote: '"\\/' }, patch: { name: '王芳', emoji: '😀', quote: '"\\/' } },
  { id: 'controls', before: {}, after: { text: 'a\r\nX-Evil: 1\u0000\u007f\u2028\t' }, patch: { text: 'a\r\nX-Evil: 1\u0000\u007f\u2028\t' } },
  { id: 'odd-names', before: {}, after: JSON.parse('{"__proto__":{"a":1},"constructor":2,"":"empty","a.b":3}'), patch: JSON.parse('{"__proto__":{"a":1},"constructor":2,"":"empty","a.b":3}') },
  { id: 'odd-names-same', before: JSON.parse('{"__proto__":{"a":1},"toString":1}'), after: JSON.parse('{"__proto__":{"a":1},"toString":1}') },
  { id: 'odd-names-removed', before: JSON.parse('{"__proto__":{"a":1},"x":1}'), after: { x: 1 }, patch: JSON.parse('{"__proto__":null}') },
  { id: 'numeric-names', before: { cart: { 7: 1, 9: 1 } }, after: { cart: { 7: 2, 9: 1 } }, patch: { cart: { 7: 2 } } },
  { id: 'null-in-list', before: {}, after: { list: [null, { a: null }] }, patch: { list: [null, { a: null }] } },
  { id: 'null-kept', before: { a: null, b: 1 }, after: { a: null, b: 2 }, patch: { b: 2 } },
  { id: 'null-removed', before: { a: null, b: 1 }, after: { b: 1 }, patch: { a: null } },
  // A merge patch cannot say "set to null": the whole new data is sent instead.
  { id: 'null-set', before: { a: 1, b: 2 }, after: { a: null, b: 2 }, patch: { a: null, b: 2 }, control: ['replace'] },
  { id: 'null-nested', before: { b: 2 }, after: { a: { c: null }, b: 2 }, patch: { a: { c: null }, b: 2 }, control: ['replace'] },
  { id: 'cleared', before: { a: 1 }, after: {}, cleared: true, control: ['destroy'] },
  { id: 'cleared-new', before: {}, after: {}, cleared: true },
  { id: 'cleared-then-written', before: { a: 1, b: 2 }, after: { a: 1, c: 3 }, cleared: true, patch: { a: 1, c: 3 }, control: ['replace'] },
].map(({ control = [], cleared = false, ...vector }) => ({ ...vector, cleared, control }))

const vectors = {
  about: 'See docs/adapters.md. Made by make-assertion-vectors.mjs.',
  issuer: 'sessiongate',
  audience: 'app',
  secrets,
  jwks: { EdDSA: { keys: [publicJwk(eddsa, 'e1', 'EdDSA')] }, ES256: { keys: [publicJwk(es256, 'p1', 'ES256')] } },
  assertions,
  patches,
}
const lines = (list) => list.map((vector) => `    ${JSON.stringify(vector)}`).join(',\n')
const { assertions: _a, patches: _p, ...top } = vectors
writeFileSync(new URL('assertion-vectors.json', import.meta.url), `${JSON.stringify(top, null, 2).slice(0, -2)},
  "assertions": [\n${lines(assertions)}\n  ],
  "patches": [\n${lines(patches)}\n  ]\n}\n`)
