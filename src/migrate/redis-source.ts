import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import type { EpochMs } from '../session/session.ts'
import { parseRedisUrl } from '../stores/redis-url.ts'
import type { MigrationSource, SourceRecord } from './source.ts'
import { SourceError } from './source.ts'

const BATCH = 500
const TIMEOUT_MS = 5_000

/** Flask-Session in Redis: a string per session at prefix and sid, with a TTL. */
export async function openRedisSource(url: string, keyPrefix: string, clock: Clock): Promise<MigrationSource> {
  const { host = '127.0.0.1', port = 6379, path, db, secure, username, password } = parseRedisUrl(url)
  const redis = new Redis({
    ...(path ? { path } : { host, port }), db, ...(secure ? { tls: {} } : {}),
    ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }),
    lazyConnect: true, connectTimeout: TIMEOUT_MS, commandTimeout: TIMEOUT_MS, retryStrategy: () => null, maxRetriesPerRequest: 0,
  })
  redis.on('error', () => undefined)                                   // every command rejects with it
  const total = await redis.connect().then(() => redis.dbsize()).catch((error: unknown) => {
    redis.disconnect()
    throw new SourceError(`the Redis to migrate from cannot be read: ${error instanceof Error ? error.message : 'unknown'}`)
  })

  async function read(key: string): Promise<SourceRecord | undefined> {
    const [bytes, ttlMs] = await Promise.all([redis.getBuffer(key).catch(ofAnotherType), redis.pttl(key)])
    if (!bytes) return undefined
    return { name: key.slice(keyPrefix.length), bytes, expiresAt: ttlMs < 0 ? undefined : clock() + ttlMs as EpochMs }
  }

  return {
    by: 'sid',
    total,
    async* records() {
      const seen = new Set<string>()
      let cursor = '0'
      do {
        const [next, keys] = await redis.scan(cursor, 'MATCH', `${keyPrefix.replace(/[\\*?[\]^]/g, '\\$&')}*`, 'COUNT', BATCH)
        cursor = next
        const fresh = keys.filter((key) => !seen.has(key))
        for (const key of fresh) seen.add(key)
        for (const record of await Promise.all(fresh.map(read))) if (record) yield record
      } while (cursor !== '0')
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      redis.disconnect()
    },
  }
}

function ofAnotherType(error: Error): null {
  if (error.message.startsWith('WRONGTYPE')) return null
  throw error
}
