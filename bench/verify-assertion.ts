import { createHmac, timingSafeEqual, verify, type KeyObject } from 'node:crypto'

export type VerifyKey =
  | { readonly alg: 'HS256', readonly secret: string }
  | { readonly alg: 'EdDSA' | 'ES256', readonly publicKey: KeyObject }

/** The claims the benchmark looks at. */
export interface AssertionClaims {
  readonly aud: string
  readonly exp: number
  readonly new?: boolean
  readonly data: Readonly<Record<string, unknown>>
}

/**
 * Verifies a session assertion as an upstream would (protocol.md): algorithm fixed by the key, audience, expiry, signature.
 * @throws Error saying what is wrong.
 */
export function verifyAssertion(token: string, key: VerifyKey, audience: string): AssertionClaims {
  const [head, payload, signature] = token.split('.')
  if (head === undefined || payload === undefined || signature === undefined) throw new Error('the assertion is not a compact JWS')
  const { alg } = decoded(head) as { alg?: unknown }
  if (alg !== key.alg) throw new Error(`the assertion says alg ${String(alg)}, expected ${key.alg}`)
  if (!isSignedBy(key, `${head}.${payload}`, Buffer.from(signature, 'base64url'))) throw new Error('the assertion has a wrong signature')
  const claims = decoded(payload) as AssertionClaims
  if (claims.aud !== audience) throw new Error(`the assertion is for ${claims.aud}, expected ${audience}`)
  if (claims.exp * 1000 <= Date.now()) throw new Error('the assertion has expired')
  return claims
}

function isSignedBy(key: VerifyKey, input: string, signature: Buffer): boolean {
  if (key.alg === 'HS256') {
    const expected = createHmac('sha256', key.secret).update(input).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  const digest = key.alg === 'ES256' ? 'sha256' : null
  return verify(digest, Buffer.from(input), { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, signature)
}

function decoded(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
