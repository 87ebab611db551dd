import { createHash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { EpochMs } from '../session/session.ts'
import type { Entries, Entry, Overwritten } from './entry-store.ts'
import { createEntryStore } from './entry-store.ts'
import type { MemcachedClient } from './memcached-client.ts'
import { createMemcachedClient } from './memcached-client.ts'
import type { MemcachedReply } from './memcached-reply.ts'
import { createRing } from './memcached-ring.ts'
import type { SessionStore } from './store.ts'
import { entryIn, headerOf, valueOf } from './value.ts'

export interface MemcachedStoreOptions {
  /** host:port. Keys are spread over them by consistent hashing. */
  readonly servers: readonly string[]
  /** Before every key, no separator added. Default `session:`. */
  readonly keyPrefix?: string
  /** Default 250. */
  readonly timeoutMs?: number
  readonly clock?: Clock
  /** Told of items that the servers evicted to make room, whosever they were, since it was told last. Must not throw. */
  readonly onEvicted?: (count: number) => void
  /** How often the servers are asked for their evictions. Default 10 s. */
  readonly statsIntervalMs?: number
}

const MAX_KEY_LENGTH = 250
/** Memcached takes larger numbers for an instant (seconds since 1970) instead of a duration. */
const LONGEST_DURATION_S = 30 * 86_400
/** It reads them as signed 32-bit numbers. */
const LAST_INSTANT_S = 2 ** 31 - 1
const PING_SECONDS = 1
const WRITTEN = ['STORED', 'NOT_STORED', 'EXISTS', 'NOT_FOUND']

/**
 * Sessions in memcached, one item per key; its `cas` is the atomic step. The version and the expiry to the millisecond stand before the
 * bytes, so that a touch, which must write the item again, keeps the version and cannot overwrite what came between. A server that is
 * away takes its share of the sessions with it: another one in its place would bring back what was ended meanwhile.
 */
export function createMemcachedStore(options: MemcachedStoreOptions): SessionStore {
  const { servers, keyPrefix = 'session:', timeoutMs = 250, clock = systemClock, onEvicted, statsIntervalMs = 10_000 } = options
  const clients = new Map(servers.map((server) => [server, createMemcachedClient({ server, timeoutMs })]))
  const serverOf = createRing(servers)

  function place(key: string): { readonly client: MemcachedClient; readonly name: string } {
    const name = itemNameOf(keyPrefix, key)
    return { client: clients.get(serverOf(name))!, name }
  }

  async function get(client: MemcachedClient, name: string): Promise<{ readonly entry: Entry; readonly cas: string } | undefined> {
    const { item } = await client.send(['END'], `gets ${name}\r\n`)
    return item && { entry: entryIn(item.value), cas: item.cas }
  }

  function put(client: MemcachedClient, command: 'add' | 'cas', name: string, entry: Entry, cas = ''): Promise<MemcachedReply> {
    const value = encode(entry)
    return client.send(WRITTEN, `${command} ${name} 0 ${exptimeOf(entry.expiresAt, clock())} ${value.length}${cas && ` ${cas}`}\r\n`, value, '\r\n')
  }

  /** Writes what `next` makes of the entry, until nothing came between, or it makes nothing of it. */
  async function update(key: string, next: (held: Entry) => Entry | undefined): Promise<Overwritten> {
    const { client, name } = place(key)
    let wasRepeated = false
    for (;;) {
      const held = await get(client, name)
      const entry = held && next(held.entry)
      if (!entry) return wasRepeated ? 'perhaps' : 'none'
      const { line, isRepeated = false } = await put(client, 'cas', name, entry, held.cas)
      if (line === 'STORED') return 'done'
      wasRepeated ||= isRepeated
      if (line !== 'EXISTS') return wasRepeated ? 'perhaps' : 'none'
    }
  }

  const entries: Entries = {
    async read(key) {
      const { client, name } = place(key)
      return (await get(client, name))?.entry
    },
    async insert(key, entry) {
      const { client, name } = place(key)
      return (await put(client, 'add', name, entry)).line === 'STORED'
    },
    overwrite: (key, expected, entry, aliveAt) =>
      update(key, (held) => held.version === expected && held.expiresAt > aliveAt ? entry : undefined),
    async touch(key, expiresAt, now) {
      await update(key, (held) => held.bytes && held.expiresAt > now ? { ...held, expiresAt } : undefined)
    },
    async ping() {
      await Promise.any([...clients.values()].map((client) => client.send(['STORED'], `set ${keyPrefix}#ping 0 ${PING_SECONDS} 0\r\n\r\n`)))
        .catch((error: AggregateError) => { throw error.errors[0] })
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      clearInterval(evictions)
      for (const client of clients.values()) client.close()
    },
  }

  const evictions = onEvicted && setInterval(watchEvictions([...clients.values()], onEvicted), statsIntervalMs).unref()
  const store = createEntryStore('memcached', entries, clock)
  return servers.length === 1 ? store : { ...store, partOf: (key) => serverOf(itemNameOf(keyPrefix, key)) }
}

/** Asks each server how many items it evicted, and tells of what was added. A server that restarted counts from 0 again. */
function watchEvictions(clients: readonly MemcachedClient[], onEvicted: (count: number) => void): () => void {
  const known = new Map<MemcachedClient, number>()
  const ask = async (client: MemcachedClient) => {
    const count = Number((await client.send(['END'], 'stats\r\n')).stats?.get('evictions') ?? 0)
    const added = count - (known.get(client) ?? count)
    known.set(client, count)
    if (added > 0) onEvicted(added)
  }
  const askAll = () => { for (const client of clients) void ask(client).catch(() => undefined) }   // an outage shows itself elsewhere
  askAll()
  return askAll
}

/** Memcached's keys have no spaces and at most 250 bytes; a key it cannot take is known by its hash. */
function itemNameOf(prefix: string, key: string): string {
  const isPlain = prefix.length + key.length <= MAX_KEY_LENGTH && !key.includes(' ') && !key.startsWith('#')
  return prefix + (isPlain ? key : `#${createHash('sha256').update(key).digest('base64url')}`)
}

/** When memcached may drop the item: never before it is dead by the gateway's clock. */
function exptimeOf(expiresAt: EpochMs, now: EpochMs): number {
  const duration = Math.max(0, Math.ceil((expiresAt - now) / 1_000)) + 1
  if (duration <= LONGEST_DURATION_S) return duration
  const instant = Math.ceil(expiresAt / 1_000) + 1
  return instant <= LAST_INSTANT_S ? instant : 0                    // 0: not by age
}

function encode({ bytes, version, expiresAt }: Entry): Buffer {
  return valueOf(headerOf(bytes ? 'R' : 'T', version, expiresAt), bytes ?? new Uint8Array(0))
}
