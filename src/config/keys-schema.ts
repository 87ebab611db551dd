import { z } from 'zod'
import { privateKeyProblem, publicKeyProblem } from './pem.ts'

const MIN_SECRET_BYTES = 32

/** Secrets that stand in manuals, tutorials and examples; whoever finds one in use owns the session. */
const WELL_KNOWN = /^(change[-_ ]?me|secret|password|default|example|sample|test|dev|keyboard cat|your[-_ ]|my[-_ ]|insert|replace|legacy-demo-key|students-demo-key|0123456789abcdef|abcdefghijklmnop)/i
const REMEDY = 'make one with "sessiongate keys generate"'

/** The reason a secret may not be used, or undefined when it may. Never contains the secret. */
export function weaknessOf(secret: string): string | undefined {
  if (/^[\s\uFEFF]|[\s]$/.test(secret)) return 'starts or ends with white space or a byte order mark; remove it'
  if (secret.startsWith('-----BEGIN')) return `is a PEM block; if it is a public key, everybody has it: ${REMEDY}`
  if (WELL_KNOWN.test(secret)) return `is a well-known sample; ${REMEDY}`
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) return `is shorter than ${MIN_SECRET_BYTES} bytes; ${REMEDY}`
  if (new Set(secret).size < 10) return `has too few different characters; ${REMEDY}`
  return undefined
}

const keyId = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 of A-Z a-z 0-9 _ -').describe('Name of the key; travels with what it signs, so never reuse one')
const secret = z.string().superRefine((value, context) => {
  const weakness = weaknessOf(value)
  if (weakness) context.addIssue({ code: 'custom', message: `this secret ${weakness}` })
}).describe('At least 32 bytes of text, used as its UTF-8 bytes. Better in a file or a variable than here')
const file = z.string().min(1)
const secretFile = file.describe('File holding the secret, instead of `secret`; one trailing newline is ignored')

const needsSecret = { path: ['secret'], error: `is missing: give \`secret\` or \`secretFile\`; ${REMEDY}` }
const hasSecret = (key: { readonly secret?: string | undefined }): boolean => key.secret !== undefined

/** A ring entry's `secret` is there after loading, whether written or read from its file. */
export interface CookieKey {
  readonly id: string
  readonly secret: string
  readonly secretFile?: string | undefined
}
const secretKeyShape = z.strictObject({ id: keyId, secret: secret.optional(), secretFile: secretFile.optional() })
export const cookieKey = secretKeyShape.refine(hasSecret, needsSecret).transform((key) => key as CookieKey)

const hs256Shape = z.strictObject({
  id: keyId,
  alg: z.literal('HS256').describe('Both sides share one secret'),
  secret: secret.optional(),
  secretFile: secretFile.optional(),
})
const asymmetric = z.enum(['EdDSA', 'ES256']).describe('Ed25519 or P-256: a private half signs, a public one verifies')
const algExpected = { error: 'expected alg: HS256, EdDSA or ES256' }

export type HmacKey = CookieKey & { readonly alg: 'HS256'; readonly privateKey?: undefined; readonly publicKey?: undefined }
export interface PrivateKey {
  readonly id: string
  readonly alg: 'EdDSA' | 'ES256'
  /** PEM, checked to fit `alg`. */
  readonly privateKey: string
  readonly privateKeyFile?: string | undefined
  readonly secret?: undefined
}
export type AssertionKey = HmacKey | PrivateKey

const hmacKey = hs256Shape.refine(hasSecret, needsSecret).transform((key) => key as HmacKey)
const privateKey = z.strictObject({
  id: keyId,
  alg: asymmetric,
  privateKey: z.string().optional().describe('PEM (PKCS #8) for EdDSA and ES256'),
  privateKeyFile: file.optional().describe('File holding the private key, instead of `privateKey`'),
}).superRefine((key, context) => {
  const problem = key.privateKey === undefined ? 'is missing: give `privateKey` or `privateKeyFile`' : privateKeyProblem(key.privateKey, key.alg)
  if (problem) context.addIssue({ code: 'custom', path: ['privateKey'], message: problem })
}).transform((key) => key as PrivateKey)
export const assertionKey = z.discriminatedUnion('alg', [hmacKey, privateKey], algExpected)

export interface PublicKey {
  readonly id: string
  readonly alg: 'EdDSA' | 'ES256'
  /** PEM, checked to fit `alg`. */
  readonly publicKey: string
  readonly publicKeyFile?: string | undefined
  readonly secret?: undefined
}
/** What verifies an upstream's signed mutations. */
export type MutationKey = HmacKey | PublicKey

const publicKey = z.strictObject({
  id: keyId,
  alg: asymmetric,
  publicKey: z.string().optional().describe('PEM (SPKI) for EdDSA and ES256'),
  publicKeyFile: file.optional().describe('File holding the public key, instead of `publicKey`'),
}).superRefine((key, context) => {
  const problem = key.publicKey === undefined ? 'is missing: give `publicKey` or `publicKeyFile`' : publicKeyProblem(key.publicKey, key.alg)
  if (problem) context.addIssue({ code: 'custom', path: ['publicKey'], message: problem })
}).transform((key) => key as PublicKey)
export const mutationKey = z.discriminatedUnion('alg', [hmacKey, publicKey], algExpected)

function uniqueIds(keys: readonly { readonly id: string }[]): boolean {
  return new Set(keys.map(({ id }) => id)).size === keys.length
}
export const duplicateIds = { error: 'two keys have the same id; a retired id is never used again' }

export const keyRing = <T extends z.ZodType<{ readonly id: string }>>(key: T) => z.array(key).refine(uniqueIds, duplicateIds)
const atLeastOne = { error: `at least one key is needed; ${REMEDY}` }

export const keyRings = z.strictObject({
  cookie: keyRing(cookieKey).refine((keys) => keys.length > 0, atLeastOne)
    .describe('Sign the session cookie. The first signs, all verify; drop a key when no cookie signed by it may open a session any more'),
  assertion: keyRing(assertionKey).refine((keys) => keys.length > 0, atLeastOne)
    .describe('Sign the session header. The first signs; all public keys are published as JWKS, so add the next one a while before it signs'),
  record: keyRing(cookieKey).prefault([])
    .describe('Encrypt stored sessions (AES-256-GCM). Empty: records are stored as they are. The first encrypts, all decrypt'),
})
