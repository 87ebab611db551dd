import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { decodeBase64Url, encodeBase64Url } from './python-base64.ts'

/** How the signing key is made of secret and salt. Flask uses `hmac`; itsdangerous' own default is `django-concat`. */
export type KeyDerivation = 'hmac' | 'concat' | 'django-concat' | 'none'

export interface SignerOptions {
  /** SECRET_KEY first, then SECRET_KEY_FALLBACKS: the first signs, all verify, in this order. Text is UTF-8. Never empty. */
  readonly secrets: readonly (string | Uint8Array)[]
  readonly salt: string
  /** Default `hmac`. */
  readonly keyDerivation?: KeyDerivation
  /** A name node:crypto knows; used for the derivation and the signature. Default `sha1`. */
  readonly digest?: string
  /**
   * The app has itsdangerous before 1.1, whose clock starts in 2011: sign with its clock, and verify either (a time before 2011 in
   * today's reckoning is one of the old clock). Default false.
   */
  readonly legacyTimestamps?: boolean
}

export interface AgeLimit {
  /** Now, seconds since the epoch, whole. */
  readonly nowSeconds: number
  /** PERMANENT_SESSION_LIFETIME. An age equal to it is still good. */
  readonly maxAgeSeconds: number
}

export type Refusal = 'bad_signature' | 'expired' | 'future'
export type Unsigned =
  | { readonly ok: true; readonly value: string; readonly issuedAtSeconds: number }
  | { readonly ok: false; readonly reason: Refusal }

export interface ItsdangerousSigner {
  /** `value.signature`, as itsdangerous.Signer. */
  sign(value: string): string
  /** The value, or undefined when no key made the signature. Constant-time comparison. */
  unsign(signed: string): string | undefined
  /** `value.timestamp.signature`, as itsdangerous.TimestampSigner. */
  signAt(value: string, issuedAtSeconds: number): string
  /** Without `limit` any age is good, a future one too. */
  unsignAt(signed: string, limit?: AgeLimit): Unsigned
}

const LEGACY_EPOCH_SECONDS = 1_293_840_000     // 2011-01-01T00:00:00Z

/** Derives all keys at once; throws when there is no secret or node:crypto does not know the digest. */
export function createItsdangerousSigner(options: SignerOptions): ItsdangerousSigner {
  const { digest = 'sha1', legacyTimestamps = false } = options
  if (options.secrets.length === 0 || options.secrets.some((secret) => secret.length === 0)) throw new Error('a Flask secret key is empty')
  const keys = options.secrets.map((secret) => deriveKey(Buffer.from(secret), options))
  const signatureOf = (value: string, key: Buffer) => createHmac(digest, key).update(value, 'utf8').digest()

  const sign = (value: string) => `${value}.${encodeBase64Url(signatureOf(value, keys[0] as Buffer))}`
  const unsign = (signed: string) => {
    const [value, signature] = splitLast(signed)
    if (value === undefined) return undefined
    const bytes = decodeBase64Url(signature)
    return bytes && keys.some((key) => isEqual(bytes, signatureOf(value, key))) ? value : undefined
  }
  return {
    sign,
    unsign,
    signAt: (value, issuedAtSeconds) => {
      return sign(`${value}.${encodeTimestamp(legacyTimestamps ? issuedAtSeconds - LEGACY_EPOCH_SECONDS : issuedAtSeconds)}`)
    },
    unsignAt: (signed, limit) => {
      const [value, timestamp] = splitLast(unsign(signed) ?? '')
      const stamp = value === undefined ? undefined : decodeTimestamp(timestamp)
      if (value === undefined || stamp === undefined) return { ok: false, reason: 'bad_signature' }
      const issuedAtSeconds = legacyTimestamps && stamp < LEGACY_EPOCH_SECONDS ? stamp + LEGACY_EPOCH_SECONDS : stamp
      const reason = limit && refusalByAge(limit.nowSeconds - issuedAtSeconds, limit.maxAgeSeconds)
      return reason ? { ok: false, reason } : { ok: true, value, issuedAtSeconds }
    },
  }
}

function deriveKey(secret: Buffer, { salt, keyDerivation = 'hmac', digest = 'sha1' }: SignerOptions): Buffer {
  if (keyDerivation === 'none') return secret
  if (keyDerivation === 'hmac') return createHmac(digest, secret).update(salt, 'utf8').digest()
  const middle = keyDerivation === 'django-concat' ? 'signer' : ''
  return createHash(digest).update(salt + middle, 'utf8').update(secret).digest()
}

function refusalByAge(ageSeconds: number, maxAgeSeconds: number): Refusal | undefined {
  if (ageSeconds > maxAgeSeconds) return 'expired'
  return ageSeconds < 0 ? 'future' : undefined
}

/** Big-endian seconds without leading zero bytes: 0 is the empty text. */
function encodeTimestamp(seconds: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(seconds))))
  const first = bytes.findIndex((byte) => byte !== 0)
  return first < 0 ? '' : encodeBase64Url(bytes.subarray(first))
}

function decodeTimestamp(text: string): number | undefined {
  const bytes = decodeBase64Url(text)
  if (!bytes || bytes.length > 8) return undefined
  return bytes.reduce((seconds, byte) => seconds * 256 + byte, 0)
}

function splitLast(text: string): [string, string] | [undefined, undefined] {
  const dot = text.lastIndexOf('.')
  return dot < 0 ? [undefined, undefined] : [text.slice(0, dot), text.slice(dot + 1)]
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
