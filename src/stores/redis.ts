import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import { recordTextOf } from '../session/record-text.ts'
import type { EpochMs, Version } from '../session/session.ts'
import type { Understanding } from './batches.ts'
import { endOnceSeen } from './end-once-seen.ts'
import { createRedisBatches, type Answer } from './redis-batches.ts'
import type { RedisClientOptions } from './redis-client.ts'
import { createRedisClient } from './redis-client.ts'
import { CREATE, DESTROY, REPLACE, TOUCH } from './redis-script.ts'
import { OutcomeUnknownError } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import type { ValueKind } from './value.ts'
import { digitsOf, entryIn, foreignValue, headerOf, isValue, valueOf } from './value.ts'
import { mintVersion } from './version.ts'

export interface RedisStoreOptions extends Omit<RedisClientOptions, 'timeoutMs'> {
  /** Before every key, no separator added. Default `session:`. */
  readonly keyPrefix?: string
  /** Default 250. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

const PING_TTL_MS = 1_000
/** The letters that scripts answer with (redis-script.ts). */
const STORED = letter('S')
const MISSING = letter('M')
const OTHER = letter('C')
const FOREIGN = letter('F')

/**
 * Sessions in Redis or Valkey, one string per key. A load is one GET, a write one EVALSHA; those of one turn of the event loop go
 * together, but for a cluster. Redis removes what has expired by its own clock; whether a record is alive is decided by the gateway's
 * clock, from the expiry inside the value. Returns at once and connects in the background: `ping` tells when it serves.
 */
export function createRedisStore(options: RedisStoreOptions): SessionStore {
  const { keyPrefix = 'session:', timeoutMs = 250, clock = systemClock } = options
  const client = createRedisClient({ ...options, timeoutMs })
  const batches = createRedisBatches(client, clock)

  const loading = understood('load', (value: Buffer | null) => {
    const record = value ? decode(value) : undefined
    return record && record.expiresAt > clock() ? record : undefined
  })
  const touching = understood('touch', (answer: Answer) => { ours(answer) })
  const destroying = understood('destroy', (answer: Answer) => {
    const { letter, value, isRepeated } = ours(answer)
    return { isEnded: letter === STORED || isRepeated, found: letter === OTHER ? decode(value!) : undefined }
  })

  return {
    kind: 'redis',
    ...(client.partOf && { partOf: (key: string) => client.partOf!(keyPrefix + key) }),

    load: (key) => batches.get(keyPrefix + key, loading),

    create(key, bytes, expiresAt) {
      const version = mintVersion()
      return batches.run(CREATE, keyPrefix + key, [encode('R', version, expiresAt, bytes)], writing('create', version))
    },

    replace(key, expected, bytes, expiresAt) {
      const version = mintVersion()
      return batches.run(REPLACE, keyPrefix + key, [encode('R', version, expiresAt, bytes), expected], writing('replace', version))
    },

    touch: (key, expiresAt) => batches.run(TOUCH, keyPrefix + key, [digitsOf(expiresAt)], touching),

    destroy(key, tombstoneUntil) {
      const tombstone = encode('T', mintVersion(), tombstoneUntil, new Uint8Array(0))
      return endOnceSeen((seen) => batches.run(DESTROY, keyPrefix + key, [tombstone, seen?.version ?? ''], destroying))
    },

    async scan(cursor, limit) {
      try {
        const { keys, next } = await client.scan(cursor, keyPrefix, limit)
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

/** What a write came to. */
function writing(operation: string, version: Version): Understanding<Answer, WriteOutcome> {
  return understood(operation, (answer) => {
    const { letter, value, isRepeated } = ours(answer)
    if (letter === STORED) return { outcome: 'stored', version }
    if (letter === MISSING) return { outcome: 'missing' }
    if (isRepeated) throw new OutcomeUnknownError()
    return { outcome: 'conflict', current: decode(value!)! }
  })
}

/** Whatever goes wrong on the way is the store's absence. */
function understood<Reply, T>(operation: string, read: (reply: Reply) => T): Understanding<Reply, T> {
  return { read, explain: (error) => new StoreUnavailableError('redis', operation, error) }
}

function letter(character: string): number {
  return character.charCodeAt(0)
}

function ours(answer: Answer): Answer {
  if (answer.letter === FOREIGN) throw foreignValue()
  return answer
}

/** As text where the bytes are text: that leaves with its command in one piece. */
function encode(kind: ValueKind, version: Version, expiresAt: EpochMs, bytes: Uint8Array): string | Buffer {
  const header = headerOf(kind, version, expiresAt)
  const text = recordTextOf(bytes)
  return text === undefined ? valueOf(header, bytes) : header + text
}

/** The record in a value; undefined for a tombstone. Throws a StoreRefusal for what is neither. */
function decode(value: Buffer): StoredRecord | undefined {
  const entry = entryIn(value)
  return entry.bytes && entry as StoredRecord
}
