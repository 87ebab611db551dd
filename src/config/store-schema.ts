import { z } from 'zod'
import { secretKeyEncoding } from './adapter-schema.ts'
import { parseRevocations } from '../session/revocations.ts'
import { duration, positiveDuration } from './units.ts'

const timeout = duration.prefault('250ms').describe('Deadline of one call; then the answer is "unavailable", never "no session"')
const identifier = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'expected a plain SQL identifier')
const secretPair = { password: z.string().optional().describe('Better in a file or a variable than here'), passwordFile: z.string().min(1).optional().describe('File holding the password') }

const keyPrefix = z.string().regex(/^[\x21-\x7e]{0,64}$/, 'expected at most 64 printable ASCII characters without a space').prefault('session:').describe('Before every key, no separator added')

const tls = z.strictObject({
  caFile: z.string().optional().describe('PEM of the authority that signed the server\'s certificate'),
  certFile: z.string().optional().describe('Client certificate in PEM'),
  keyFile: z.string().optional().describe('Its key in PEM'),
})
const sqlTls = tls.optional().describe('Encrypt, and verify the server; `{}` where a public authority signed its certificate')

const memory = z.strictObject({
  kind: z.literal('memory').describe('In this process: lost on restart, not shared by workers'),
  maxEntries: z.int().min(1).prefault(100_000).describe('Sessions kept; when all of them live, new ones are refused'),
})

const file = z.strictObject({
  kind: z.literal('file').describe('LMDB in a directory: durable, shared by the workers of one machine'),
  path: z.string().min(1).prefault('./data').describe('Directory; made when missing'),
  durability: z.enum(['process', 'power']).prefault('process').describe('process: an acknowledged write survives a killed process; power: also a power cut (waits for the disk)'),
  timeout: duration.prefault('2s').describe('Deadline of one call'),
})

const recordFormat = z.strictObject({
  kind: z.literal('flask-session').describe('A Flask app with Flask-Session 0.6 or later'),
  serializer: z.enum(['msgpack', 'json']).prefault('msgpack').describe('The app\'s SESSION_SERIALIZATION_FORMAT: what is written. All its formats are read'),
  secretKey: z.string().min(1, 'must not be empty').optional().describe('The app\'s SECRET_KEY, where it has SESSION_USE_SIGNER: the cookie is its signed id'),
  secretKeyFile: z.string().min(1).optional().describe('File holding it, instead of `secretKey`'),
  secretKeyEncoding,
  permanentLifetime: positiveDuration.prefault('31d').describe('The app\'s PERMANENT_SESSION_LIFETIME: how long a session lives after its last use'),
})
export type RecordFormatConfig = z.output<typeof recordFormat>

const redis = z.strictObject({
  kind: z.literal('redis').describe('Redis or Valkey: standalone, Sentinel or Cluster'),
  url: z.string().regex(/^(rediss?|unix):\/\//, 'expected redis://, rediss:// or unix://').prefault('redis://127.0.0.1:6379/0').describe('Host, port and database number; rediss:// with TLS, unix:// for a socket'),
  username: z.string().optional().describe('ACL user'),
  ...secretPair,
  keyPrefix,
  timeout,
  sentinel: z.strictObject({
    name: z.string().min(1).describe('Name of the master'),
    nodes: z.array(z.string().regex(/^.+:\d+$/, 'expected host:port')).min(1).describe('Sentinels, host:port'),
    username: z.string().optional().describe('ACL user at the sentinels'),
    ...secretPair,
  }).optional().describe('Ask these sentinels for the master, instead of `url` host and port'),
  cluster: z.array(z.string().regex(/^.+:\d+$/, 'expected host:port')).optional().describe('Some nodes of a Redis Cluster, instead of `url` host and port'),
  tls: tls.extend({
    servername: z.string().optional().describe('Name the certificate must carry, when it is not the host'),
  }).optional().describe('With rediss://'),
  recordFormat: recordFormat.optional().describe('Share the sessions with an app that is not behind the gateway: its keys, its records, its cookie. It overwrites ours without comparing: see docs/stores.md'),
})

const memcached = z.strictObject({
  kind: z.literal('memcached').describe('gets/cas; sessions can be evicted when it is full'),
  servers: z.array(z.string().regex(/^.+:\d+$/, 'expected host:port')).min(1).prefault(['127.0.0.1:11211']).describe('host:port; keys are spread over them'),
  keyPrefix,
  timeout,
})

const mongodb = z.strictObject({
  kind: z.literal('mongodb').describe('MongoDB, or what speaks its protocol'),
  url: z.string().regex(/^mongodb(\+srv)?:\/\//, 'expected mongodb:// or mongodb+srv://').prefault('mongodb://127.0.0.1:27017').describe('Connection string'),
  database: z.string().min(1).prefault('sessiongate').describe('Its database'),
  collection: z.string().min(1).prefault('sessions').describe('Its collection'),
  timeout: duration.prefault('500ms').describe('Deadline of one call'),
})

const columns = z.strictObject({
  key: identifier.prefault('session_key').describe('Store key, the primary key'),
  version: identifier.prefault('version').describe('Version of the record'),
  data: identifier.prefault('data').describe('The record'),
  expiresAt: identifier.prefault('expires_at').describe('Expiry, ms since 1970'),
}).prefault({}).describe('Names of the columns')
const sqlCommon = {
  table: identifier.prefault('sessiongate_sessions').describe('Its table'),
  columns,
  migrate: z.boolean().prefault(true).describe('Create the table when it is missing'),
  sweepInterval: duration.prefault('60s').describe('How often expired rows are deleted, in bounded batches'),
}
const postgres = z.strictObject({
  kind: z.literal('postgres').describe('PostgreSQL'),
  url: z.string().regex(/^postgres(ql)?:\/\//, 'expected postgres://').describe('Connection string'),
  ...secretPair,
  tls: sqlTls,
  schema: identifier.optional().describe('Schema of the table, when it is not the first of the search path'),
  ...sqlCommon,
  connections: z.int().min(1).prefault(10).describe('At most, per worker'),
  timeout: duration.prefault('500ms').describe('Deadline of one call'),
})
const mysql = z.strictObject({
  kind: z.literal('mysql').describe('MySQL or MariaDB'),
  url: z.string().regex(/^mysql:\/\//, 'expected mysql://').describe('Connection string'),
  ...secretPair,
  tls: sqlTls,
  ...sqlCommon,
  connections: z.int().min(1).prefault(10).describe('At most, per worker'),
  timeout: duration.prefault('500ms').describe('Deadline of one call'),
})
const sqlite = z.strictObject({
  kind: z.literal('sqlite').describe('SQLite: one machine'),
  path: z.string().min(1).prefault('./data/sessions.sqlite').describe('Database file; made when missing'),
  ...sqlCommon,
  timeout: duration.prefault('2s').describe('Deadline of one call'),
})

const notBefore = z.string().refine((text) => parseRevocations(text) !== undefined, 'expected an instant such as 2030-01-31T12:00:00Z, or lines of such, each for everybody or with a subject behind it: 2030-01-31T12:00:00Z "ann"')
const cookie = z.strictObject({
  kind: z.literal('cookie').describe('In the browser itself, sealed: nothing to run, no compare-and-set, a copied cookie outlives a logout'),
  notBefore: notBefore.optional().describe('Sessions that began before this instant have ended, once it has come; further lines with a subject (`2030-01-31T12:00:00Z "ann"`) end the sessions of one user that logged in before'),
  notBeforeFile: z.string().min(1).optional().describe('File holding it, instead of `notBefore`; "sessiongate sessions revoke" writes it'),
})

const custom = z.strictObject({
  kind: z.literal('custom').describe('Your own module, which passes the conformance suite of sessiongate/testing'),
  module: z.string().min(1).describe('Path or package; its default export opens the store'),
  options: z.record(z.string(), z.unknown()).prefault({}).describe('Handed to the module as they are'),
  timeout,
})

export const store = z.discriminatedUnion('kind', [memory, file, redis, memcached, mongodb, postgres, mysql, sqlite, cookie, custom], {
  error: 'expected kind: memory, file, redis, memcached, mongodb, postgres, mysql, sqlite, cookie or custom',
})
export type StoreConfig = z.output<typeof store>
