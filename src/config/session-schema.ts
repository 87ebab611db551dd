import { z } from 'zod'
import { duration, size } from './units.ts'

/** A dotted path into the session's data: `user.id`, or `*` for everything. */
export const dataPath = z.string().regex(/^(\*|[^.*\s]+(\.[^.*\s]+)*(\.\*)?)$/, 'expected a path such as "user.id", "cart.*" or "*"')
const pathWithoutStar = z.string().regex(/^[^.*\s]+(\.[^.*\s]+)*$/, 'expected a path such as "user.id"')

const cookieShape = z.strictObject({
  name: z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/, 'expected a cookie name (RFC 6265 token)').optional()
    .describe('Default __Host-session (__Secure-session with a domain or another path); session where `secure` is false'),
  domain: z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'expected a host name without a leading dot').optional()
    .describe('Leave it out, unless sub-domains share the session'),
  path: z.string().regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'expected a path that starts with / and has no ; or space').prefault('/')
    .describe('The public mount, as the browser sees it'),
  secure: z.boolean().optional().describe('Only over HTTPS. Default true; on a plain-HTTP loopback listener without trustedProxies, false'),
  httpOnly: z.boolean().prefault(true).describe('Scripts in the page cannot read it'),
  sameSite: z.enum(['strict', 'lax', 'none', 'omit']).prefault('lax').describe('Whether other sites\' requests carry it; omit leaves the attribute out'),
  partitioned: z.boolean().prefault(false).describe('CHIPS; needs secure'),
})

export const session = z
  .strictObject({
    cookie: cookieShape.prefault({}).describe('The one cookie the browser holds'),
    idle: duration.prefault('30m').describe('The session ends this long after its last use'),
    absolute: duration.prefault('24h').describe('The session ends this long after it began, used or not'),
    permanent: z.boolean().prefault(false).describe('The cookie outlives the browser'),
    refreshEachRequest: z.boolean().prefault(true).describe('Use slides the idle lifetime, also when nothing changes'),
    touchInterval: duration.prefault('60s').describe('A read moves the expiry at most this often'),
    maxBytes: size.prefault('16KB').describe('Of the data, as JSON'),
    maxDepth: z.int().min(1).max(64).prefault(16).describe('Nesting of the data'),
    maxMembers: z.int().min(1).max(100_000).prefault(1_000).describe('Members and elements in the data'),
    subject: pathWithoutStar.optional().describe('Path of the value that says who the user is'),
    rotateOn: z.array(pathWithoutStar).optional().describe('A patch that changes one of these paths gets a new session id (login). Default: the subject; [] for never'),
    revocation: z.boolean().prefault(false).describe('All sessions of a subject can be ended by one write that holds at once everywhere; costs a store read more per request with a subject'),
    maxPerSubject: z.int().min(1).max(100).optional().describe('Sessions a subject may have at once; costs what revocation costs'),
    onMaxPerSubject: z.enum(['reject', 'evict-oldest']).prefault('evict-oldest').describe('What a login over maxPerSubject does: it is refused, or the oldest session ends'),
  })
  .refine((value) => value.idle > 0, { path: ['idle'], error: 'must be more than zero' })
  .refine((value) => value.idle <= value.absolute, { path: ['idle'], error: 'must not exceed session.absolute' })
  .refine((value) => !value.cookie.partitioned || value.cookie.secure !== false, { path: ['cookie', 'partitioned'], error: 'needs secure: true' })
  .refine((value) => value.cookie.sameSite !== 'none' || value.cookie.secure !== false, { path: ['cookie', 'sameSite'], error: '"none" needs secure: true' })

/** After loading a cookie's `name` and `secure` are always decided, and what rotates (src/config/resolve-defaults.ts). */
export type CookieConfig = Omit<z.output<typeof cookieShape>, 'name' | 'secure'> & { readonly name: string; readonly secure: boolean }
export type SessionConfig = Omit<z.output<typeof session>, 'cookie' | 'rotateOn'> & { readonly cookie: CookieConfig; readonly rotateOn: readonly string[] }
