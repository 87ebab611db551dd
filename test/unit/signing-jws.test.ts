import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, decodeProtectedHeader, importSPKI, jwtVerify, SignJWT, type JWTVerifyOptions } from 'jose'
import { describe, expect, test } from 'vitest'
import { assertionKeyOf, createAssertionSigner, jwksOf, type AssertionAlg, type AssertionOptions } from '../../src/signing/assertion.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { verificationKeyOf, verifyJws } from '../../src/signing/verify-jws.ts'
import type { DataPath } from '../../src/session/paths.ts'
import type { EpochMs, Json, JsonObject, Session, SessionId, Version } from '../../src/session/session.ts'

const SECRET = 'unit-secret-6f1d2c3b4a5968778695a4b3c2d1e0f0'
const pairs = { EdDSA: generateKeyPairSync('ed25519'), ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
const pem = (key: KeyObject, type: 'pkcs8' | 'spki'): string => key.export({ type, format: 'pem' }) as string
const privateOf = (alg: AssertionAlg): string => alg === 'HS256' ? SECRET : pem(pairs[alg].privateKey, 'pkcs8')
const publicOf = (alg: AssertionAlg): string => alg === 'HS256' ? SECRET : pem(pairs[alg].publicKey, 'spki')
const ALGS = ['HS256', 'EdDSA', 'ES256'] as const
const NOW = 1_700_000_000_500 as EpochMs

const session = (data: JsonObject, changes: Partial<Session> = {}): Session => ({
  id: 'i'.repeat(43) as SessionId, handle: 'Zk3vQ8yQ2mJr0b7hQyWw5A', data, createdAt: NOW, touchedAt: NOW, permanent: false, idleMs: 1, absoluteMs: 1, ...changes,
})
const asserted = (data: JsonObject, version = 'v7', changes: Partial<Session> = {}) => ({ session: session(data, changes), version: version as Version })

interface SignerOptions { readonly alg?: AssertionAlg; readonly expose?: DataPath[]; readonly now?: () => EpochMs; readonly subject?: DataPath; readonly audience?: string }

function signer({ alg = 'HS256', expose = [[]], now = () => NOW, subject = ['user', 'id'], audience = 'app' }: SignerOptions = {}) {
  const options: AssertionOptions = { keys: createKeyRing([assertionKeyOf('k1', alg, privateOf(alg))]), issuer: 'sessiongate', lifetimeSeconds: 60, subject, clock: now }
  return createAssertionSigner(audience, expose, options)
}

async function strictlyVerified(token: string, alg: AssertionAlg): Promise<JsonObject> {
  const rules: JWTVerifyOptions = { algorithms: [alg], audience: 'app', issuer: 'sessiongate', typ: 'session+jwt', currentDate: new Date(NOW), requiredClaims: ['exp', 'iat', 'aud', 'iss'] }
  const key = alg === 'HS256' ? Buffer.from(SECRET) : await importSPKI(publicOf(alg), alg)
  return (await jwtVerify(token, key, rules)).payload as JsonObject
}

describe.each(ALGS)('an %s assertion', (alg) => {
  test('verifies with jose at its strictest and says exactly this', async () => {
    const token = signer({ alg }).sign(asserted({ user: { id: 'ann' }, count: 7 }))
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'session+jwt', alg, kid: 'k1' })
    expect(await strictlyVerified(token, alg)).toEqual({
      iss: 'sessiongate', aud: 'app', iat: 1_700_000_000, exp: 1_700_000_060, sid: 'Zk3vQ8yQ2mJr0b7hQyWw5A', sub: 'ann', ver: 'v7',
      new: false, permanent: false, data: { user: { id: 'ann' }, count: 7 },
    })
  })

  test('of no session says so, without sid, sub and ver', async () => {
    expect(await strictlyVerified(signer({ alg }).sign(undefined), alg)).toEqual({
      iss: 'sessiongate', aud: 'app', iat: 1_700_000_000, exp: 1_700_000_060, new: true, permanent: false, data: {},
    })
  })

  test('is refused by jose and by us with any character changed, cut, doubled or swapped', async () => {
    const token = signer({ alg }).sign(asserted({ a: 1 }))
    const keys = [verificationKeyOf('k1', alg, publicOf(alg))]
    expect(verifyJws(token, keys).ok).toBe(true)
    const [head, body, signature] = token.split('.') as [string, string, string]
    const other = (c: string): string => c === 'A' ? 'B' : 'A'
    const spoiled = [
      ...Array.from(token, (c, i) => token.slice(0, i) + (c === '.' ? '' : other(c)) + token.slice(i + 1)),
      token.slice(0, -1), `${token}A`, `${token}=`, `${token}.`, `.${token}`, ` ${token}`, `${body}.${head}.${signature}`, `${head}.${signature}.${body}`,
      `${head}.${body}.`, `${head}.${body}`, `${head}..${signature}`, `${token}\n`, token.replace('.', '..'), '', '..',
    ]
    for (const one of spoiled) expect(verifyJws(one, keys).ok, one).toBe(false)
    for (const one of spoiled.slice(0, 20)) await expect(strictlyVerified(one, alg)).rejects.toThrow()
  })

  test('has one spelling: the unused bits of the last character are zero', () => {
    const token = signer({ alg }).sign(asserted({ a: 1 }))
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const accepted = [...alphabet].filter((last) => verifyJws(token.slice(0, -1) + last, [verificationKeyOf('k1', alg, publicOf(alg))]).ok)
    expect(accepted).toEqual([token.at(-1)])
  })

  test('sizeOf is never less than what is sent', () => {
    for (const data of [{}, { user: { id: 'ü'.repeat(300) } }, { text: '\u2028"\\'.repeat(99) }, { user: { id: 12345 } }]) {
      const made = signer({ alg })
      const sent = made.sign(asserted(data, 'v'.repeat(24))).length
      expect(made.sizeOf(session(data))).toBeGreaterThanOrEqual(sent)
      expect(made.sizeOf(session(data))).toBeLessThan(sent + 8)
    }
  })
})

describe('forged tokens', () => {
  const keys = [verificationKeyOf('h', 'HS256', SECRET), verificationKeyOf('e', 'EdDSA', publicOf('EdDSA'))]
  const claims = { iss: 'sessiongate', aud: 'app' }
  const made = (header: object, secret: string | Buffer = SECRET): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(typeof secret === 'string' ? Buffer.from(secret) : secret)
  const unsigned = (header: object): string => `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`

  const rows: [what: string, token: () => string | Promise<string>, reason: string][] = [
    ['alg none', () => unsigned({ alg: 'none', kid: 'h' }), 'not a compact JWS'],
    ['alg none with a signature', () => `${unsigned({ alg: 'none', kid: 'h' })}AAAA`, 'the algorithm is not the key\'s'],
    ['alg None', () => `${unsigned({ alg: 'None', kid: 'h' })}AAAA`, 'the algorithm is not the key\'s'],
    ['a public key used as a shared secret', () => made({ kid: 'e' }, publicOf('EdDSA')), 'the algorithm is not the key\'s'],
    ['an unknown kid', () => made({ kid: 'x' }), 'unknown key'],
    ['no kid', () => made({}), 'unknown key'],
    ['a kid that is a path', () => made({ kid: '../../dev/null' }), 'unknown key'],
    ['a kid that is SQL', () => made({ kid: "h' OR '1'='1" }), 'unknown key'],
    ['a kid of Object.prototype', () => made({ kid: '__proto__' }), 'unknown key'],
    ['another secret', () => made({ kid: 'h' }, 'y'.repeat(40)), 'bad signature'],
    ['an own key inside the token', () => made({ kid: 'h', jwk: { kty: 'oct', k: 'eA' }, jku: 'http://127.0.0.1/jwks' }, 'x'), 'bad signature'],
    ['a critical extension', () => made({ kid: 'h', crit: ['b64'], b64: true }), 'critical extensions are not understood'],
    ['a header that is no object', () => `${Buffer.from('[]').toString('base64url')}.e30.AAAA`, 'unknown key'],
    ['a header that is no JSON', () => '____.e30.AAAA', 'unknown key'],
  ]
  test.each(rows)('%s', async (_what, token, reason) => expect(verifyJws(await token(), keys)).toEqual({ ok: false, reason }))

  test('a payload that is not an object is refused though its signature holds', async () => {
    const token = await new SignJWT().setProtectedHeader({ alg: 'HS256', kid: 'h' }).sign(Buffer.from(SECRET))
    expect(verifyJws(token, keys).ok).toBe(true)
    const { createHmac } = await import('node:crypto')
    const input = `${token.split('.')[0]}.${Buffer.from('[1]').toString('base64url')}`
    expect(verifyJws(`${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`, keys)).toEqual({ ok: false, reason: 'the payload is not a JSON object' })
  })
})

describe('values in the header', () => {
  const rows: [what: string, value: Json][] = [
    ['non-ASCII', 'Zoë 王芳 😀'], ['quotes, CR and LF', '"\\\r\n\0\t'], ['line separators', '\u2028\u2029\u0085'], ['DEL and C1', '\u007f\u0080\u009f'],
    ['numbers', [0, -1, 0.1, 1e300, 5e-324, 9_007_199_254_740_991]], ['odd names', JSON.parse('{"__proto__":1,"":{"a.b":[]}}') as Json],
  ]
  test.each(rows)('%s arrive unchanged in pure ASCII', async (_what, value) => {
    const token = signer().sign(asserted({ value }))
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(JSON.stringify((await strictlyVerified(token, 'HS256'))['data'])).toBe(JSON.stringify({ value }))
  })
})

describe('subject and projection', () => {
  const subjectOf = (data: JsonObject): Promise<Json | undefined> => strictlyVerified(signer().sign(asserted(data)), 'HS256').then(({ sub }) => sub)
  test.each<[data: JsonObject, sub: string | undefined]>([
    [{ user: { id: 'ann' } }, 'ann'], [{ user: { id: 42 } }, '42'], [{ user: { id: '' } }, undefined], [{ user: { id: null } }, undefined],
    [{ user: { id: { x: 1 } } }, undefined], [{ user: 'ann' }, undefined], [{}, undefined], [{ user: { id: true } }, undefined],
  ])('%j has the subject %s', async (data, sub) => expect(await subjectOf(data)).toBe(sub))

  test('the subject is named also to an upstream that may not see the data it comes from', async () => {
    const claims = await strictlyVerified(signer({ expose: [['cart']] }).sign(asserted({ user: { id: 'ann' }, cart: 1, secret: 2 })), 'HS256')
    expect(claims).toMatchObject({ sub: 'ann', data: { cart: 1 } })
    expect(JSON.stringify(claims)).not.toContain('secret')
  })
})

describe('reuse of a signed value', () => {
  test('for the same version while half its lifetime is left, then signed anew', () => {
    let now = 1_700_000_000_000 as EpochMs
    const made = signer({ alg: 'ES256', now: () => now })
    const first = made.sign(asserted({ a: 1 }))
    expect(made.sign(asserted({ a: 1 }))).toBe(first)
    now = (now + 29_999) as EpochMs
    expect(made.sign(asserted({ a: 1 }))).toBe(first)
    now = (now + 1) as EpochMs
    expect(made.sign(asserted({ a: 1 }))).not.toBe(first)
  })

  test('never across versions, sessions, or "no session"', () => {
    const made = signer()
    const tokens = [
      made.sign(asserted({ a: 1 }, 'v1')), made.sign(asserted({ a: 2 }, 'v2')), made.sign(asserted({ a: 1 }, 'v1', { handle: 'other' })),
      made.sign(undefined), made.sign(asserted({ a: 1 }, '.v1', { handle: 'Zk3vQ8yQ2mJr0b7hQyWw5' })),
    ]
    expect(new Set(tokens).size).toBe(tokens.length)
  })

  test('is bounded by bytes: what was not asked for lately is forgotten, what was is kept', () => {
    const made = signer({ alg: 'ES256' })
    const data = { text: 'x'.repeat(12_000) }
    const first = made.sign(asserted(data, 'v0'))
    const count = Math.ceil((2 * 4 * 1_024 * 1_024) / first.length) + 2
    let last = ''
    for (let i = 1; i <= count; i++) last = made.sign(asserted(data, `v${i}`))
    expect(made.sign(asserted(data, `v${count}`))).toBe(last)
    expect(made.sign(asserted(data, 'v0'))).not.toBe(first)
  })
})

describe('the JWK set', () => {
  const ring = createKeyRing([assertionKeyOf('p1', 'ES256', privateOf('ES256')), assertionKeyOf('e1', 'EdDSA', privateOf('EdDSA')), assertionKeyOf('h1', 'HS256', SECRET)])

  test('has every public key of the ring and nothing private or shared', () => {
    const { keys } = jwksOf(ring) as { keys: Record<string, unknown>[] }
    expect(keys.map(({ kid, alg, use, kty }) => ({ kid, alg, use, kty }))).toEqual([
      { kid: 'p1', alg: 'ES256', use: 'sig', kty: 'EC' }, { kid: 'e1', alg: 'EdDSA', use: 'sig', kty: 'OKP' },
    ])
    expect(JSON.stringify(keys)).not.toMatch(/"(d|k)":/)
    expect(JSON.stringify(keys)).not.toContain(SECRET)
  })

  test('is all that jose needs', async () => {
    const token = createAssertionSigner('app', [[]], { keys: ring, issuer: 'sessiongate', lifetimeSeconds: 60, subject: undefined, clock: () => NOW }).sign(undefined)
    const verified = await jwtVerify(token, createLocalJWKSet(jwksOf(ring) as never), { audience: 'app', currentDate: new Date(NOW) })
    expect(verified.protectedHeader.kid).toBe('p1')
  })
})

test('key material that does not fit is refused when it is parsed', () => {
  expect(() => assertionKeyOf('k', 'EdDSA', SECRET)).toThrow()
  expect(() => verificationKeyOf('k', 'ES256', 'no pem')).toThrow()
  expect(() => createKeyRing([])).toThrow(RangeError)
})
