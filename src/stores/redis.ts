import { isUtf8 } from 'node:buffer'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { RedisClientOptions } from './redis-client.ts'
import { createRedisClient } from './redis-client.ts'
import type { RedisScript } from './redis-script.ts'
import { CREATE, DESTROY, REPLACE, TOUCH } from './redis-script.ts'
import { StoreRefusal } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import { mintVersion, VERSION_LENGTH } from './version.ts'

export interface RedisStoreOptions extends Omit<RedisClientOptions, 'timeoutMs'> {
  /** Before every key, no separator added. Default `session:`. */
  readonly keyPrefix?: string
  /** Default 250. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

const EXPIRY_DIGITS = 16
const EXPIRY_START = 1 + VERSION_LENGTH
const HEADER_BYTES = EXPIRY_START + EXPIRY_DIGITS
const RECORD = 'R'
const TOMBSTONE = 'T'
const PING_TTL_MS = 1_000

/**
 * Sessions in Redis or Valkey, one string per key. A load is one GET, a write one EVALSHA. Redis removes what has expired by its own
 * clock; whether a record is alive is decided by the gateway's clock, from the expiry inside the value. Returns at once and connects
 * in the background: `ping` tells when it serves.
 */
export function createRedisStore(options: RedisStoreOptions): SessionStore {
  const { keyPrefix = 'session:', timeoutMs = 250, clock = systemClock } = options
  const client = createRedisClient({ ...options, timeoutMs })

  /** Runs a script; the answer without its first character, which is `answer`. */
  async function run(operation: string, script: RedisScript, key: string, args: (string | Buffer)[]): Promise<{ answer: string; value: Buffer }> {
    try {
      const reply = await client.run(script, keyPrefix + key, [String(clock()), ...args])
      const answer = reply.toString('latin1', 0, 1)
      if (answer === 'F') throw foreignValue()
      return { answer, value: reply.subarray(1) }
    } catch (error) {
      throw new StoreUnavailableError('redis', operation, error)
    }
  }

  function outcomeOf(answer: string, value: Buffer, version: Version): WriteOutcome {
    if (answer === 'S') return { outcome: 'stored', version }
    if (answer === 'M') return { outcome: 'missing' }
    return { outcome: 'conflict', current: decode(value)! }
  }

  return {
    kind: 'redis',
    ...(client.partOf && { partOf: (key: string) => client.partOf!(keyPrefix + key) }),

    async load(key) {
      try {
        const value = await client.send('get', [keyPrefix + key])
        const record = value ? decode(value) : undefined
        return record && record.expiresAt > clock() ? record : undefined
      } catch (error) {
        throw new StoreUnavailableError('redis', 'load', error)
      }
    },

    async create(key, bytes, expiresAt) {
      const version = mintVersion()
      const { answer, value } = await run('create', CREATE, key, [encode(RECORD, version, expiresAt, bytes), String(expiresAt)])
      return outcomeOf(answer, value, version)
    },

    async replace(key, expected, bytes, expiresAt) {
      const version = mintVersion()
      const args = [encode(RECORD, version, expiresAt, bytes), String(expiresAt), expected]
      const { answer, value } = await run('replace', REPLACE, key, args)
      return outcomeOf(answer, value, version)
    },

    async touch(key, expiresAt) {
      await run('touch', TOUCH, key, [digits(expiresAt), String(expiresAt)])
    },

    async destroy(key, tombstoneUntil) {
      const tombstone = encode(TOMBSTONE, mintVersion(), tombstoneUntil, new Uint8Array(0))
      const { answer, value } = await run('destroy', DESTROY, key, [tombstone, String(tombstoneUntil)])
      return answer === 'E' ? decode(value) : undefined
    },

    async scan(cursor, limit) {
      try {
        const { keys, next } = await client.scan(cursor, `${globQuoted(keyPrefix)}*`, limit)
        const values = await Promise.all(keys.map((key) => client.send('get', [key])))
        const records = keys.flatMap((key, i) => {
          const value = values[i]
          const record = value && isOurs(value) ? decode(value) : undefined
          return record && record.expiresAt > clock() ? [[key.slice(keyPrefix.length), record] as const] : []
        })
        return { records, next }
      } catch (error) {
        throw new StoreUnavailableError('redis', 'scan', error)
      }
    },

    async ping() {
      try {
        await client.send('set', [`${keyPrefix}ping`, '', 'PX', String(PING_TTL_MS)])
      } catch (error) {
        throw new StoreUnavailableError('redis', 'ping', error)
      }
    },

    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      client.close()
    },
  }
}

/** As text where the bytes are text: ioredis sends that with its command in one piece, bytes in several. */
function encode(kind: string, version: Version, expiresAt: EpochMs, bytes: Uint8Array): string | Buffer {
  if (isUtf8(bytes)) return kind + version + digits(expiresAt) + textOf(bytes)
  const value = Buffer.allocUnsafe(HEADER_BYTES + bytes.length)
  value.write(kind + version + digits(expiresAt), 0, 'latin1')
  value.set(bytes, HEADER_BYTES)
  return value
}

/** The record in a value; undefined for a tombstone. Throws a StoreRefusal for what is neither. */
function decode(value: Buffer): StoredRecord | undefined {
  const kind = value.toString('latin1', 0, 1)
  if (kind === TOMBSTONE) return undefined
  if (kind !== RECORD || value.length < HEADER_BYTES) throw foreignValue()
  const version = value.toString('latin1', 1, EXPIRY_START) as Version
  const expiresAt = Number(value.toString('latin1', EXPIRY_START, HEADER_BYTES)) as EpochMs
  if (!(expiresAt >= 0)) throw foreignValue()
  return { bytes: value.subarray(HEADER_BYTES), version, expiresAt }
}

/** Other programs may have keys under the prefix. */
function isOurs(value: Buffer): boolean {
  return value.length >= HEADER_BYTES && (value[0] === RECORD.charCodeAt(0) || value[0] === TOMBSTONE.charCodeAt(0))
}

/** For a MATCH pattern. */
function globQuoted(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}

function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8')
}

function digits(expiresAt: EpochMs): string {
  return String(expiresAt).padStart(EXPIRY_DIGITS, '0')
}

function foreignValue(): StoreRefusal {
  return new StoreRefusal('the key holds a value this store did not write: choose another keyPrefix')
}
