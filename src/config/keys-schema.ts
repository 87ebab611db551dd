import { z } from 'zod'

const MIN_SECRET_BYTES = 32

/** Secrets that stand in manuals, tutorials and examples; whoever finds one in use owns the session. */
const WELL_KNOWN = /^(change[-_ ]?me|secret|password|default|example|test|dev|keyboard cat|your[-_ ]|my[-_ ]|insert|replace|legacy-demo-key|students-demo-key|0123456789abcdef|abcdefghijklmnop)/i

/** The reason a secret may not be used, or undefined when it may. Never contains the secret. */
export function weaknessOf(secret: string): string | undefined {
  if (/^[\s\uFEFF]|[\s]$/.test(secret)) return 'starts or ends with white space or a byte order mark; remove it'
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) return `is shorter than ${MIN_SECRET_BYTES} bytes; make one with "sessiongate keys generate"`
  if (WELL_KNOWN.test(secret)) return 'is a well-known sample; make one with "sessiongate keys generate"'
  if (new Set(secret).size < 10) return 'has too few different characters; make one with "sessiongate keys generate"'
  return undefined
}

const keyId = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'expected 1 to 32 of A-Z a-z 0-9 _ -').describe('Name of the key; travels with what it signs, so never reuse one')
const secret = z.string().superRefine((value, context) => {
  const weakness = weaknessOf(value)
  if (weakness) context.addIssue({ code: 'custom', message: `this secret ${weakness}` })
})
const secretFile = z.string().min(1).describe('File holding the secret, instead of `secret`; one trailing newline is ignored')

const needsSecret = { path: ['secret'], error: 'give `secret` or `secretFile`' }

export const cookieKey = z
  .strictObject({ id: keyId, secret: secret.optional(), secretFile: secretFile.optional() })
  .refine((key) => key.secret !== undefined, needsSecret)

export const assertionKey = z
  .strictObject({
    id: keyId,
    alg: z.enum(['HS256', 'EdDSA', 'ES256']).describe('HS256 shares a secret with the app; EdDSA and ES256 publish a public key as JWKS'),
    secret: secret.optional(),
    secretFile: secretFile.optional(),
    privateKey: z.string().optional().describe('PEM (PKCS #8) for EdDSA and ES256'),
    privateKeyFile: z.string().min(1).optional(),
  })
  .refine((key) => key.alg !== 'HS256' || key.secret !== undefined, needsSecret)
  .refine((key) => key.alg === 'HS256' || key.privateKey !== undefined, { path: ['privateKey'], error: 'give `privateKey` or `privateKeyFile`' })

/** What verifies an upstream's signed mutations. */
export const mutationKey = z
  .strictObject({
    id: keyId,
    alg: z.enum(['HS256', 'EdDSA', 'ES256']),
    secret: secret.optional(),
    secretFile: secretFile.optional(),
    publicKey: z.string().optional().describe('PEM (SPKI) for EdDSA and ES256'),
    publicKeyFile: z.string().min(1).optional(),
  })
  .refine((key) => key.alg !== 'HS256' || key.secret !== undefined, needsSecret)
  .refine((key) => key.alg === 'HS256' || key.publicKey !== undefined, { path: ['publicKey'], error: 'give `publicKey` or `publicKeyFile`' })

function uniqueIds(keys: readonly { readonly id: string }[]): boolean {
  return new Set(keys.map(({ id }) => id)).size === keys.length
}
const duplicateIds = { error: 'two keys have the same id' }

export const keyRings = z.strictObject({
  cookie: z.array(cookieKey).min(1, 'at least one key').refine(uniqueIds, duplicateIds).describe('Sign the session cookie. The first signs, all verify; drop a key when no cookie signed by it may open a session any more'),
  assertion: z.array(assertionKey).min(1, 'at least one key').refine(uniqueIds, duplicateIds).describe('Sign the session header. The first signs; all public keys are published as JWKS, so add the next one a while before it signs'),
  record: z.array(cookieKey).default([]).refine(uniqueIds, duplicateIds).describe('Encrypt stored sessions (AES-256-GCM). Empty: records are stored as they are. The first encrypts, all decrypt'),
})
