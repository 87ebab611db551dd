import { createPrivateKey, createPublicKey, createSecretKey, sign, type KeyObject } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { createRecent } from '../recent.ts'
import { dataTextOf } from '../session/data-text.ts'
import { isWhole, project, valueAt, type DataPath } from '../session/paths.ts'
import type { JsonObject, Session, Version } from '../session/session.ts'
import { createHmacSha256 } from './hmac.ts'
import type { KeyRing } from './keyring.ts'

export type AssertionAlg = 'HS256' | 'EdDSA' | 'ES256'

export interface AssertionKey {
  readonly id: string
  readonly alg: AssertionAlg
  /** Secret key for HS256, private key for the others. */
  readonly key: KeyObject
}

/** A session to assert, and the version of the record it was read from. */
export interface AssertedSession {
  readonly session: Session
  readonly version: Version
  /** The JSON of the session's data, where it is at hand. */
  readonly dataText?: string | undefined
}

/** Signs assertions for one audience and one projection. */
export interface AssertionSigner {
  /** The compact JWS (RFC 7515) for this session, or for "no session". Reused while half its lifetime is left. */
  sign(asserted: AssertedSession | undefined): string
  /** How many bytes the header value for this session would take, without signing it. */
  sizeOf(session: Session): number
}

export interface AssertionOptions {
  readonly keys: KeyRing<AssertionKey>
  readonly issuer: string
  /** Seconds. */
  readonly lifetimeSeconds: number
  readonly subject: DataPath | undefined
  readonly clock: Clock
}

/** Parses key material. Throws when it does not fit the algorithm. */
export function assertionKeyOf(id: string, alg: AssertionAlg, material: string): AssertionKey {
  return { id, alg, key: alg === 'HS256' ? createSecretKey(Buffer.from(material)) : createPrivateKey(material) }
}

const SIGNATURE_CHARS = { HS256: 43, EdDSA: 86, ES256: 86 } as const
/** Characters of signed values kept for reuse, in each of two generations. */
const MAX_REUSED_CHARS = 4 * 1_024 * 1_024

interface Signed {
  readonly version: Version | undefined
  readonly token: string
  /** Before it: the clock was ahead then, and no verifier takes what is issued in a time to come. */
  readonly reusableFrom: number
  readonly reusableUntil: number
}

export function createAssertionSigner(audience: string, expose: readonly DataPath[], options: AssertionOptions): AssertionSigner {
  const { keys, clock } = options
  const key = keys.current
  const header = base64url(JSON.stringify({ typ: 'session+jwt', alg: key.alg, kid: key.id }))
  const issuerAndAudience = JSON.stringify({ iss: options.issuer, aud: audience }).slice(0, -1)
  const subjectOf = createSubjectReader(options.subject)
  const exposesAll = expose.some(isWhole)
  const signatureOf = createSignature(key)
  const reusable = createRecent<Signed>(MAX_REUSED_CHARS)

  function signNow(asserted: AssertedSession | undefined, issuedAt: number): string {
    const input = `${header}.${base64url(claimsTextOf(asserted, issuedAt))}`
    return `${input}.${signatureOf(input)}`
  }

  function claimsTextOf(asserted: AssertedSession | undefined, iat: number): string {
    const common = `${issuerAndAudience},"iat":${iat},"exp":${iat + options.lifetimeSeconds}`
    if (!asserted) return `${common},"new":true,"permanent":false,"data":{}}`
    const { session: { handle, data, permanent }, version, dataText } = asserted
    const sub = subjectOf(data)
    const subject = sub === undefined ? '' : `,"sub":${JSON.stringify(sub)}`
    return `${common},"sid":"${handle}"${subject},"ver":${JSON.stringify(version)},"new":false,"permanent":${permanent}`
      + `,"data":${exposesAll && dataText !== undefined ? dataText : dataTextOf(project(data, expose))}}`
  }

  return {
    sign(asserted) {
      const now = clock()
      // The handle is a keyed hash of the whole id, and a version is minted per write: both equal mean equal claims.
      const handle = asserted?.session.handle ?? ''
      const known = reusable.get(handle)
      if (known && known.version === asserted?.version && now < known.reusableUntil && now >= known.reusableFrom) return known.token
      const issuedAt = Math.floor(now / 1_000)
      const token = signNow(asserted, issuedAt)
      const reusableFrom = issuedAt * 1_000
      reusable.set(handle, { token, version: asserted?.version, reusableFrom, reusableUntil: reusableFrom + options.lifetimeSeconds * 500 }, token.length)
      return token
    },
    sizeOf(session) {
      const claims = claimsTextOf({ session, version: 'v'.repeat(24) as Version }, 1_000_000_000)
      return header.length + 2 + Math.ceil((Buffer.byteLength(claims) * 4) / 3) + SIGNATURE_CHARS[key.alg]
    },
  }
}

/** The subject of a session's data: the string or number at the configured path. */
export function createSubjectReader(path: DataPath | undefined): (data: JsonObject) => string | undefined {
  if (!path) return () => undefined
  return (data) => {
    const value = valueAt(data, path)
    return typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined
  }
}

/** Of ASCII text, base64url. */
function createSignature({ alg, key }: AssertionKey): (text: string) => string {
  switch (alg) {
    case 'HS256': return createHmacSha256(key)
    case 'EdDSA': return (text) => sign(null, Buffer.from(text), key).toString('base64url')
    case 'ES256': return (text) => sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
  }
}

/** The public keys of the ring as a JWK set (RFC 7517 section 5); shared secrets are never in it. */
export function jwksOf(keys: KeyRing<AssertionKey>): { readonly keys: readonly object[] } {
  const published = keys.all.filter(({ alg }) => alg !== 'HS256')
  return { keys: published.map(({ id, alg, key }) => ({ ...createPublicKey(key).export({ format: 'jwk' }), kid: id, alg, use: 'sig' })) }
}

const scratch = Buffer.allocUnsafeSlow(16_384)
const MAX_BYTES_PER_CHAR = 3

function base64url(text: string): string {
  if (text.length * MAX_BYTES_PER_CHAR > scratch.length) return Buffer.from(text).toString('base64url')
  return scratch.toString('base64url', 0, scratch.write(text))
}
