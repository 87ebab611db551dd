import { createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify, type KeyObject } from 'node:crypto'
import type { AssertionAlg } from './assertion.ts'
import { isJsonObject, type JsonObject } from '../session/session.ts'

export interface VerificationKey {
  readonly id: string
  readonly alg: AssertionAlg
  /** Secret key for HS256, public key for the others. */
  readonly key: KeyObject
}

export type Verified = { readonly ok: true; readonly claims: JsonObject } | { readonly ok: false; readonly reason: string }

/** Parses key material: the shared secret, or a public key in PEM (SPKI). */
export function verificationKeyOf(id: string, alg: AssertionAlg, material: string): VerificationKey {
  return { id, alg, key: alg === 'HS256' ? createSecretKey(Buffer.from(material)) : createPublicKey(material) }
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/**
 * Verifies a compact JWS (RFC 7515 section 5.2). The `kid` is a look-up in `keys` and the key fixes the algorithm; any `crit` is
 * refused (section 4.1.11); keys carried inside the token are ignored. Time and audience are the caller's to check.
 */
export function verifyJws(token: string, keys: readonly VerificationKey[]): Verified {
  const [, head, body, signature] = COMPACT.exec(token) ?? []
  if (head === undefined || body === undefined || signature === undefined) return refused('not a compact JWS')
  const header = decodeObject(head)
  const key = keys.find(({ id }) => id === header?.['kid'])
  if (!header || !key) return refused('unknown key')
  if (header['alg'] !== key.alg) return refused('the algorithm is not the key\'s')
  if ('crit' in header) return refused('critical extensions are not understood')
  if (!isSignature(`${head}.${body}`, signature, key)) return refused('bad signature')
  const claims = decodeObject(body)
  return claims ? { ok: true, claims } : refused('the payload is not a JSON object')
}

function refused(reason: string): Verified {
  return { ok: false, reason }
}

function isSignature(input: string, signature: string, { alg, key }: VerificationKey): boolean {
  const given = Buffer.from(signature, 'base64url')
  // One text per signature: a lenient decoder would accept aliases of the last character.
  if (given.toString('base64url') !== signature) return false
  switch (alg) {
    case 'HS256': {
      const expected = createHmac('sha256', key).update(input).digest()
      return given.length === expected.length && timingSafeEqual(given, expected)
    }
    case 'EdDSA': return verify(null, Buffer.from(input), key, given)
    case 'ES256': return verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, given)
  }
}

function decodeObject(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
