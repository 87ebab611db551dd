import { isUtf8 } from 'node:buffer'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { RedisClientOptions } from './redis-client.ts'
import { createRedisClient } from './redis-client.ts'
import type { RedisScript } from './redis-script.ts'
import { CREATE, DESTROY, REPLACE, TOUCH } from './redis-script.ts'
import { OutcomeUnknownError } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import type { ValueKind } from './value.ts'
import { digitsOf, entryIn, foreignValue, headerOf, isValue, valueOf } from './value.ts'
import { mintVersion } from './version.ts'

export interface RedisStoreOptions extends Omit<RedisClientOptions, 'timeoutMs' | 'clock'> {
  /** Before every key, no separator added. Default `session:`. */
  readonly keyPrefix?: string
  /** Default 250. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

const PING_TTL_MS = 1_000
/** First characters of the scripts' replies (redis-script.ts). */
const STORED = 0x53
const MISSING = 0x4d
const ENDED = 0x45
const FOREIGN = 0x46

/**
 * Sessions in Redis or Valkey, one string per key. A load is one GET, a write one EVALSHA; those of one turn
 * of the event loop go together, but for a cluster. Redis removes what has expired by its own
 * clock; whether a record is alive is decided by the gateway's clock, from the expiry inside the value. Returns at once and connects
 * in the background: `ping` tells when it serves.
 */
export function createRedisStore(options: RedisStoreOptions): SessionStore {
  const { keyPrefix = 'session:', timeoutMs = 250, clock = systemClock } = options
  const client = createRedisClient({ ...options, timeoutMs, clock })

  /** Runs a script and reads its reply. */
  function run<T>(operation: string, script: RedisScript, key: string, args: (string | Buffer)[], read: (reply: Buffer, isRepeated: boolean) => T): Promise<T> {
    const answered = client.run(script, keyPrefix + key, args)
    return understood(operation, answered, ({ bytes, isRepeated }) => {
      if (bytes[0] === FOREIGN) throw foreignValue()
      return read(bytes, isRepeated)
    })
  }

  function write(operation: string, script: RedisScript, key: string, version: Version, args: (string | Buffer)[]): Promise<WriteOutcome> {
    return run(operation, script, key, args, (reply, isRepeated) => {
      if (reply[0] === STORED) return { outcome: 'stored', version }
      if (reply[0] === MISSING) return { outcome: 'missing' }
      if (isRepeated) throw new OutcomeUnknownError()
      return { outcome: 'conflict', current: decode(reply.subarray(1))! }
    })
  }

  return {
    kind: 'redis',
    ...(client.partOf && { partOf: (key: string) => client.partOf!(keyPrefix + key) }),

    load(key) {
      return understood('load', client.get(keyPrefix + key), (value) => {
        const record = value ? decode(value) : undefined
        return record && record.expiresAt > clock() ? record : undefined
      })
    },

    create(key, bytes, expiresAt) {
      const version = mintVersion()
      return write('create', CREATE, key, version, [encode('R', version, expiresAt, bytes)])
    },

    replace(key, expected, bytes, expiresAt) {
      const version = mintVersion()
      return write('replace', REPLACE, key, version, [encode('R', version, expiresAt, bytes), expected])
    },

    touch(key, expiresAt) {
      return run('touch', TOUCH, key, [digitsOf(expiresAt)], () => undefined)
    },

    destroy(key, tombstoneUntil) {
      const tombstone = encode('T', mintVersion(), tombstoneUntil, new Uint8Array(0))
      return run('destroy', DESTROY, key, [tombstone], (reply) => reply[0] === ENDED ? decode(reply.subarray(1)) : undefined)
    },

    async scan(cursor, limit) {
      try {
        const { keys, next } = await client.scan(cursor, `${globQuoted(keyPrefix)}*`, limit)
        const values = await Promise.all(keys.map((key) => client.send('get', [key])))
        const records = keys.flatMap((key, i) => {
          const value = values[i]
          const record = value && isValue(value) ? decode(value) : undefined
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

/** What an answer means; anything that goes wrong on the way is the store's absence. One continuation: this is the path of every request. */
function understood<Reply, T>(operation: string, answered: Promise<Reply>, read: (reply: Reply) => T): Promise<T> {
  const fail = (error: unknown): never => {
    throw new StoreUnavailableError('redis', operation, error)
  }
  return answered.then((reply) => {
    try {
      return read(reply)
    } catch (error) {
      return fail(error)
    }
  }, fail)
}

/** As text where the bytes are text: ioredis sends that with its command in one piece, bytes in several. */
function encode(kind: ValueKind, version: Version, expiresAt: EpochMs, bytes: Uint8Array): string | Buffer {
  const header = headerOf(kind, version, expiresAt)
  return isUtf8(bytes) ? header + textOf(bytes) : valueOf(header, bytes)
}

/** The record in a value; undefined for a tombstone. Throws a StoreRefusal for what is neither. */
function decode(value: Buffer): StoredRecord | undefined {
  const entry = entryIn(value)
  return entry.bytes && entry as StoredRecord
}

/** For a MATCH pattern. */
function globQuoted(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}

function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8')
}
