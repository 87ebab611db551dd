import { getHashes } from 'node:crypto'
import { z } from 'zod'
import { positiveDuration } from './units.ts'

const cookieName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'expected a cookie name (RFC 6265 token)')
const file = z.string().min(1)
const cookiePath = z.string().regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'expected a path that starts with /')
const cookieDomain = z.string().regex(/^\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'expected a host name').optional()
/** The app's own key: what it is worth is the app's affair, but see checks/adapters.ts. */
const secretKey = z.string().min(1, 'must not be empty')

const needsSecretKey = { path: ['secretKey'], error: 'is missing: give `secretKey` or `secretKeyFile`, the app\'s own SECRET_KEY' }

export const secretKeyEncoding = z.enum(['text', 'base64', 'hex']).prefault('text').describe('How the key, and each fallback, is written here: base64 or hex for a key of bytes, such as b"\\xec]/"')

export interface SecretKey {
  readonly secretKey: string
  readonly secretKeyFile?: string | undefined
}

const fallback = z
  .strictObject({
    secretKey: secretKey.optional().describe('An old SECRET_KEY'),
    secretKeyFile: file.optional().describe('File holding it, instead of `secretKey`'),
  })
  .refine((value) => value.secretKey !== undefined, needsSecretKey)
  .transform((value) => value as SecretKey)

/** Where the app itself used to set its cookie: browsers delete a cookie only by its own path and domain. */
const ownCookie = {
  cookieName: cookieName.prefault('session').describe('The app\'s SESSION_COOKIE_NAME'),
  cookiePath: cookiePath.prefault('/').describe('The app\'s SESSION_COOKIE_PATH: where old cookies are deleted; with stripPrefix, the prefix is put before it'),
  cookieDomain: cookieDomain.describe('The app\'s SESSION_COOKIE_DOMAIN, where it has one: where old cookies are deleted'),
}
const permanentLifetime = positiveDuration.prefault('31d').describe('The app\'s PERMANENT_SESSION_LIFETIME')
const adopt = z.boolean().prefault(true)
  .describe('Take over, once, the session a visitor still has with the app itself. Off: such visitors begin anew')

const flask = z.strictObject({
  kind: z.literal('flask').describe('An unchanged Flask app with its signed cookie'),
  secretKey: secretKey.optional().describe('The app\'s SECRET_KEY. Better in a file or a variable than here'),
  secretKeyFile: file.optional().describe('File holding it, instead of `secretKey`; one trailing newline is ignored'),
  secretKeyEncoding,
  fallbacks: z.array(fallback).prefault([]).describe('The app\'s SECRET_KEY_FALLBACKS: they verify, they do not sign'),
  ...ownCookie,
  salt: z.string().min(1).prefault('cookie-session').describe('The session interface\'s `salt`'),
  keyDerivation: z.enum(['hmac', 'concat', 'django-concat', 'none']).prefault('hmac').describe('The session interface\'s `key_derivation`'),
  digest: z.string().refine((name) => getHashes().includes(name), 'is no digest that Node knows').prefault('sha1').describe('The session interface\'s `digest_method`'),
  permanentLifetime,
  sortKeys: z.boolean().prefault(true).describe('The app\'s `app.json.sort_keys` (JSON_SORT_KEYS)'),
  foreignTags: z.enum(['refuse', 'carry']).prefault('refuse').describe('Values under Flask\'s own tags that Flask would not write; carry, where the app has replaced a tag'),
  legacyTimestamps: z.boolean().prefault(false).describe('The app has itsdangerous before 1.1, whose clock starts in 2011'),
  adopt,
}).refine((value) => value.secretKey !== undefined, needsSecretKey).transform((value) => value as typeof value & SecretKey)

const flaskSession = z.strictObject({
  kind: z.literal('flask-session').describe('An unchanged app with Flask-Session: it keeps its store, the browser never sees the id'),
  secretKey: secretKey.optional().describe('The app\'s SECRET_KEY, where it has SESSION_USE_SIGNER: only signed ids are taken over'),
  secretKeyFile: file.optional().describe('File holding it, instead of `secretKey`'),
  secretKeyEncoding,
  ...ownCookie,
  permanentLifetime,
  adopt,
})

export const adapter = z.discriminatedUnion('kind', [flask, flaskSession], { error: 'expected kind: flask or flask-session' })
export type AdapterConfig = z.output<typeof adapter>
export type FlaskConfig = Extract<AdapterConfig, { readonly kind: 'flask' }>
export type FlaskSessionConfig = Extract<AdapterConfig, { readonly kind: 'flask-session' }>

export const cookieRule = z
  .strictObject({
    name: cookieName.optional().describe('The cookie\'s name'),
    pattern: z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'expected a cookie name with *').optional().describe('Instead of `name`: `*` stands for any characters'),
    do: z.enum(['store', 'encrypt', 'pass', 'drop'])
      .describe('store: kept beside the session, the browser never sees it; encrypt: sealed in the browser; pass: as it is; drop: neither way'),
    adopt: z.boolean().prefault(false).describe('With store: take over, once, the cookie a visitor without a session still has'),
    path: z.union([cookiePath.transform((one) => [one]), z.array(cookiePath).min(1).max(10)]).prefault('/')
      .describe('With store: the Path the app had set it with, where browsers that still hold it are told to delete it; a list is allowed'),
    domain: cookieDomain.describe('With store: the Domain the app had set it with, if any'),
  })
  .refine((rule) => (rule.name === undefined) !== (rule.pattern === undefined), { path: ['name'], error: 'give either `name` or `pattern`' })
  .refine((rule) => !rule.adopt || rule.do === 'store', { path: ['adopt'], error: 'only has a meaning with do: store' })
export type CookieRuleConfig = z.output<typeof cookieRule>

export const migrated = z.strictObject({
  from: z.literal('flask-session').describe('Whose cookie browsers still hold'),
  ...ownCookie,
  secretKey: secretKey.optional().describe('The app\'s SECRET_KEY, where it had SESSION_USE_SIGNER: only signed ids are honoured'),
  secretKeyFile: file.optional().describe('File holding it, instead of `secretKey`'),
  secretKeyEncoding,
  by: z.enum(['sid', 'md5', 'sha256']).prefault('sid').describe('What the migrated sessions are found by, as "sessiongate migrate" prints it: the id, or a file name made of it'),
  keyPrefix: z.string().prefault('session:').describe('The app\'s SESSION_KEY_PREFIX, which file names are made with'),
})
export type MigratedConfig = z.output<typeof migrated>

const scalar = z.union([z.string(), z.number(), z.boolean()])

export const requireValue = z
  .strictObject({
    path: z.string().regex(/^[^.*\s]+(\.[^.*\s]+)*$/, 'expected a path such as "user.role"').describe('Where in the data'),
    equals: scalar.optional().describe('The value it must have'),
    in: z.array(scalar).min(1).optional().describe('Instead of `equals`: any of these'),
  })
  .refine((value) => (value.equals === undefined) !== (value.in === undefined), { path: ['equals'], error: 'give either `equals` or `in`' })
export type RequireValueConfig = z.output<typeof requireValue>
