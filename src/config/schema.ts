import { z } from 'zod'
import { listenAddress } from './address.ts'
import { keyRings } from './keys-schema.ts'
import { route } from './route-schema.ts'
import { session, type SessionConfig } from './session-schema.ts'
import { store } from './store-schema.ts'
import { duration, size } from './units.ts'
import { upstream } from './upstream-schema.ts'

const tls = z.strictObject({
  certFile: z.string().min(1).describe('Certificate in PEM, the leaf first'),
  keyFile: z.string().min(1).describe('PEM, without a passphrase'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('Older clients are refused'),
})

const limits = z.strictObject({
  maxBody: size.prefault('10MB').describe('Larger request bodies get 413; a route can say otherwise'),
  maxHeaderBytes: size.prefault('16KB').describe('All header fields of a request; more gets 431'),
  maxHeaderCount: z.int().min(10).max(10_000).prefault(200).describe('Header fields of a request; more gets 431'),
  maxTargetBytes: size.prefault('8KB').describe('Longer targets get 414'),
  maxConnections: z.int().min(1).prefault(20_000).describe('Per worker; further ones are closed'),
  headersTimeout: duration.prefault('10s').describe('To receive a request head'),
  bodyIdleTimeout: duration.prefault('30s').describe('Between two pieces of a request body'),
  minBodyRate: z.int().min(0).prefault(0).describe('Bytes per second a request body must average after 10 s; 0: no limit'),
  keepAlive: duration.prefault('65s').describe('An idle client connection is closed after this'),
  responseIdleTimeout: duration.prefault('60s').describe('A client that reads nothing for this long is closed'),
  requestsPerSecond: z.int().min(0).prefault(0).describe('Per client address, with a burst of twice as many; more gets 429; 0: no limit'),
})

const named = <T extends z.ZodType>(value: T) => z.record(z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, 'expected a name of 1 to 40 of A-Z a-z 0-9 _ -'), value)

/** Every key an operator can write: type, unit, default and meaning. docs/configuration.md and config.schema.json are made from it. */
export const configShape = z.strictObject({
  listen: z.union([listenAddress.transform((one) => [one]), z.array(listenAddress).min(1)]).prefault('127.0.0.1:8080').describe('host:port or unix:/path; a list is allowed'),
  tls: tls.optional().describe('Makes the listeners HTTPS'),
  admin: z.union([listenAddress, z.literal(false)]).prefault('127.0.0.1:9090').describe('/livez /readyz /metrics /jwks.json and the operators\' API; false turns it off'),
  workers: z.union([z.literal('auto'), z.int().min(1).max(512)]).prefault(1).describe('Processes; auto: one per core'),
  trustedProxies: z.array(z.string()).prefault([]).describe('Addresses or networks whose X-Forwarded-* and Forwarded are believed'),
  headerPrefix: z.string().regex(/^[A-Za-z][A-Za-z0-9-]*-$/, 'expected letters, digits and "-", ending in "-"').prefault('X-Session-').describe('The gateway owns every header under it'),
  issuer: z.string().min(1).max(200).prefault('sessiongate').describe('The `iss` of assertions'),
  via: z.string().regex(/^[A-Za-z0-9._-]+$/).prefault('sessiongate').describe('Our pseudonym in Via'),
  keys: keyRings.describe('Secrets and private keys; "sessiongate init" makes a first set'),
  assertion: z.strictObject({
    lifetime: duration.refine((ms) => ms >= 2_000, 'must be at least 2s: exp and iat are whole seconds').prefault('60s').describe('exp - iat; a signed value is reused for half of it'),
  }).prefault({}).describe('The signed session header'),
  session: session.prefault({}).describe('The session and its cookie'),
  store: store.prefault({ kind: 'file' }).describe('Where sessions are kept'),
  limits: limits.prefault({}).describe('What a client may cost'),
  upstreams: named(upstream).refine((value) => Object.keys(value).length > 0, 'at least one upstream is needed').describe('The apps, by name; the name is the `aud` of their assertions'),
  routes: z.array(route).min(1, 'at least one route is needed').describe('Which request goes to which upstream, and with which session'),
  log: z.strictObject({
    level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).prefault('info').describe('Less than this is not logged'),
    format: z.enum(['auto', 'json', 'pretty']).prefault('auto').describe('auto: pretty on a terminal'),
    requests: z.boolean().prefault(true).describe('One line per request'),
  }).prefault({}).describe('To standard output'),
  shutdown: z.strictObject({
    drain: duration.prefault('30s').describe('What is in flight may take this long after SIGTERM'),
  }).prefault({}).describe('How a stop goes'),
})

export type ConfigInput = z.input<typeof configShape>
/** What the schema gives: durations in ms, sizes in bytes, every default filled in that depends on nothing else. */
export type ParsedConfig = z.output<typeof configShape>
/** The configuration after loading: as parsed, with the defaults that depend on other keys decided too. */
export type Config = Omit<ParsedConfig, 'session'> & { readonly session: SessionConfig }
