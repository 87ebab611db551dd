import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { EpochMs, Version } from '../session/session.ts'
import { endOnceSeen } from './end-once-seen.ts'
import { ENDED_MARK, MOVED_MARK } from './marks.ts'
import { createRedisClient } from './redis-client.ts'
import type { Attempt, RedisClientOptions } from './redis-client.ts'
import type { RedisScript } from './redis-script.ts'
import { CREATE_SHARED, DESTROY_SHARED, END_SHARED, LOAD_SHARED, REPLACE_SHARED, TOUCH_SHARED } from './redis-shared-script.ts'
import { OutcomeUnknownError, StoreRefusal } from './refusal.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from './store.ts'
import { mintVersion } from './version.ts'

export interface SharedRedisOptions extends Omit<RedisClientOptions, 'timeoutMs' | 'cluster'> {
  /** The app's, before every key. */
  readonly keyPrefix: string
  /** How long the app lets a session live after a write. */
  readonly lifetimeMs: number
  /** Default 250. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/** Keys of ours, which must not look like the app's. */
const ASIDE_PREFIX = 'sessiongate:'
const PING_KEY = `${ASIDE_PREFIX}ping`
const PING_TTL_MS = 1_000
/** How long a write is recognised when it is sent again. */
const TOKEN_TTL_MS = 10_000
const TTL_DIGITS = 16
const PICKLE = 'pickle-'

/**
 * Sessions that a Flask app writes, too: a string at prefix and sid with a TTL and nothing of ours in it. A version is the SHA-1 of the
 * bytes, compared in a script, so gateways do not overwrite each other's changes, nor the app's; the app itself compares nothing, and
 * overwrites ours. Whether a record is alive is for its TTL alone to say. Marks (marks.ts) and tombstones are kept under keys of their own,
 * as long as a record that the app writes after them can live. What Flask-Session before 0.6 has stored (a pickle) can be read and ended,
 * not changed: that app could not read what we write.
 */
export function createSharedRedisStore(options: SharedRedisOptions): SessionStore {
  const { keyPrefix, lifetimeMs, timeoutMs = 250, clock = systemClock } = options
  const client = createRedisClient({ ...options, timeoutMs })

  async function run(script: RedisScript, key: string, args: readonly (string | Buffer)[], sending?: Attempt): Promise<Buffer> {
    const record = keyPrefix + key
    return await client.evaluate(script, ['2', record, `${ASIDE_PREFIX}{${record}}`, ...args], sending) as Buffer
  }

  async function attempt<T>(operation: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      throw new StoreUnavailableError('redis', operation, error)
    }
  }

  async function write(script: RedisScript, key: string, bytes: Uint8Array, args: readonly string[]): Promise<WriteOutcome> {
    const own = Buffer.from(bytes)
    const version = versionOf(own)
    const sending: Attempt = {}
    const reply = await run(script, key, [own, ...args], sending)
    switch (reply.toString('latin1')) {
      case 'S': return { outcome: 'stored', version }
      case 'M': return { outcome: 'missing' }
    }
    // The token that would tell is the last writer's: it may have been stored, and written over.
    if (sending.isRepeated) throw new OutcomeUnknownError()
    return { outcome: 'conflict' }
  }

  /** The record in an answer of a script; undefined where it says that there is none. */
  function recordIn(reply: Buffer): StoredRecord | undefined {
    if (reply[0] !== 0x52 && reply[0] !== 0x41) return undefined                // R, A
    const ttlMs = Number(reply.toString('latin1', 1, 1 + TTL_DIGITS))
    const bytes = reply.subarray(1 + TTL_DIGITS)
    return { bytes, version: versionOf(bytes), expiresAt: clock() + (ttlMs < 0 ? lifetimeMs : ttlMs) as EpochMs }
  }

  const msUntil = (instant: EpochMs): string => String(Math.max(1, instant - clock()))
  /** Past every write of a request of the app that began before, and the life of what it has written. */
  const msToRemember = (until: EpochMs): string => String(Math.max(1, until - clock()) + lifetimeMs)

  const load = async (key: string): Promise<StoredRecord | undefined> => recordIn(await run(LOAD_SHARED, key, []))

  return {
    kind: 'redis',

    load: (key) => attempt('load', () => load(key)),

    create: (key, bytes, expiresAt) => attempt('create', () => {
      if (isMark(bytes)) throw new StoreRefusal('only sessions can be put into another program\'s store')
      return write(CREATE_SHARED, key, bytes, [msUntil(expiresAt), mintVersion(), String(TOKEN_TTL_MS)])
    }),

    replace: (key, expected, bytes, expiresAt) => attempt('replace', () => {
      const isEnd = bytes[0] === ENDED_MARK
      if (expected.startsWith(PICKLE) && !isEnd) throw new StoreRefusal('the app has stored this session as a pickle, and could not read what is written here: see recordFormat in docs/stores.md')
      const digest = digestOf(expected)
      if (isMark(bytes)) return write(END_SHARED, key, isEnd ? Buffer.from('T') : Buffer.concat([Buffer.from('A'), bytes]), [msToRemember(expiresAt), digest])
      return write(REPLACE_SHARED, key, bytes, [msUntil(expiresAt), mintVersion(), String(TOKEN_TTL_MS), digest])
    }),

    touch: (key, expiresAt) => attempt('touch', async () => { await run(TOUCH_SHARED, key, [msUntil(expiresAt)]) }),

    destroy: (key, tombstoneUntil) => attempt('destroy', () => {
      const token = mintVersion()
      return endOnceSeen(async (seen) => {
        const sending: Attempt = {}
        const reply = await run(DESTROY_SHARED, key, [msToRemember(tombstoneUntil), token, digestOf(seen?.version)], sending)
        return { found: recordIn(reply), isEnded: sending.isRepeated === true || reply.toString('latin1') === 'S' }
      })
    }),

    scan: (cursor, limit) => attempt('scan', async () => {
      const { keys, next } = await client.scan(cursor, keyPrefix, limit)
      const found = await Promise.all(keys.map(async (key) => [key.slice(keyPrefix.length), await load(key.slice(keyPrefix.length)).catch(ifRefused)] as const))
      return { records: found.filter((one): one is readonly [string, StoredRecord] => one[1] !== undefined), next }
    }),

    ping: () => attempt('ping', async () => { await client.send('set', [PING_KEY, '', 'PX', String(PING_TTL_MS)]) }),

    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      client.close()
    },
  }
}

/** Keys of other types may be under the prefix. */
function ifRefused(error: unknown): undefined {
  if (!(error instanceof StoreRefusal)) throw error
}

function isMark([first]: Uint8Array): boolean {
  return first === MOVED_MARK || first === ENDED_MARK
}

function versionOf(bytes: Uint8Array): Version {
  return `${isPickle(bytes) ? PICKLE : ''}${hash('sha1', bytes)}` as Version
}

/** The SHA-1 in a version; empty where there is none. */
function digestOf(version = ''): string {
  return version.slice(version.lastIndexOf('-') + 1)
}

/** As in adapters/flask/record.ts: 0x80 and a protocol, or `(` of protocol 0. */
function isPickle([first = -1, second = -1]: Uint8Array): boolean {
  return (first === 0x80 && second >= 2 && second <= 5) || first === 0x28
}
