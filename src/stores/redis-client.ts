import type { ConnectionOptions } from 'node:tls'
import type { ClusterOptions, RedisOptions } from 'ioredis'
import { Cluster, Redis } from 'ioredis'
import { connectTimeoutOf } from './connect-timeout.ts'
import { Deadlines } from './deadlines.ts'
import { RedisCommand } from './redis-command.ts'
import type { RedisScript } from './redis-script.ts'
import { slotOf } from './redis-slot.ts'
import { parseRedisNode, parseRedisUrl } from './redis-url.ts'
import { StoreRefusal } from './refusal.ts'

export interface RedisClientOptions {
  /** `redis://`, `rediss://` or `unix://`; host and port are not used with sentinel or cluster. */
  readonly url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** What is waited for a connection or an answer before the connection counts as dead. */
  readonly timeoutMs: number
  readonly sentinel?: {
    readonly name: string
    /** host:port */
    readonly nodes: readonly string[]
    readonly username?: string | undefined
    readonly password?: string | undefined
  } | undefined
  /** host:port of some nodes of a Redis Cluster. */
  readonly cluster?: readonly string[] | undefined
  /** TLS options; giving any turns TLS on, to the sentinels too. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'> | undefined
}

/** Redis, however it is deployed. Rejects with a StoreRefusal when Redis answered an error, else with the connection's error. */
export interface RedisClient {
  send(name: string, args: (string | Buffer)[]): Promise<Buffer | null>
  /** Runs a script, by digest; its source is sent where the server does not know it (SCRIPT FLUSH, failover). `keysAndArgs` begins with the number of keys. */
  evaluate(script: RedisScript, keysAndArgs: readonly (string | Buffer)[], attempt?: Attempt): Promise<unknown>
  /**
   * Keys that begin so, about `count` are looked at; `next` is undefined after the last. Walks all masters of a cluster, one after the
   * other. A key may come twice.
   */
  scan(cursor: string | undefined, prefix: string, count: number): Promise<{ readonly keys: readonly string[]; readonly next: string | undefined }>
  /** Calls back when this turn of the event loop is over; what is sent then leaves with what was sent in it. */
  atEndOfTurn(flush: () => void): void
  /** The node of a cluster that has this key; only of a cluster. */
  readonly partOf?: (key: string) => string
  close(): void
}

/** Of sending one command until it is answered. */
export interface Attempt {
  /** It may have been carried out before, its answer lost. */
  isRepeated?: boolean
}

const FIRST_RETRY_MS = 25
const LAST_RETRY_MS = 500
const READONLY_RECONNECT_MS = 1_000

/**
 * Connects in the background and reconnects for ever. A command waits for a connection, and is sent again when the connection is
 * lost under it, but only until the deadline; so a blip passes unseen, and nothing queues up behind an outage. Sending again is
 * safe: scripts recognise their own writes, and `isRepeated` says where that is not enough.
 */
export function createRedisClient(options: RedisClientOptions): RedisClient {
  const client = connect(options)
  const waitMs = Math.floor(options.timeoutMs * 0.8)                   // ends before the caller's deadline, to tell the cause
  const waits = new Deadlines(waitMs)
  const waiting = new Set<() => void>()
  let lastError: Error | undefined
  let corked: Set<{ uncork(): void }> | undefined
  let flushes: (() => void)[] = []

  client.on('error', (error: Error) => { lastError = error })
  client.on('ready', () => {
    lastError = undefined
    for (const proceed of waiting) proceed()
  })

  /** A connection that is going down says `ready` until it has closed. */
  function isReady(): boolean {
    return client.status === 'ready' && (!(client instanceof Redis) || client.stream.writable)
  }

  function whenReady(): Promise<void> {
    if (isReady()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const proceed = () => {
        deadline.cancel()
        waiting.delete(proceed)
        resolve()
      }
      const expire = () => {
        waiting.delete(proceed)
        reject(new Error(`no connection: ${lastError?.message ?? client.status}`, { cause: lastError }))
      }
      const deadline = waits.start({ expire })
      waiting.add(proceed)
    })
  }

  /** Commands of one turn of the event loop leave in one system call; it costs more than the rest of the command. */
  function cork(): void {
    if (corked) return
    corked = new Set(client instanceof Redis ? [client.stream] : client.nodes('master').map((node) => node.stream))
    corked.delete(undefined as never)                               // a node that is not connected yet
    for (const stream of corked) (stream as Redis['stream']).cork()
    setImmediate(endTurn)
  }

  function atEndOfTurn(flush: () => void): void {
    flushes.push(flush)
    cork()
  }

  function endTurn(): void {
    const due = flushes
    flushes = []
    for (const flush of due) flush()
    const streams = corked
    corked = undefined
    for (const stream of streams ?? []) stream.uncork()
  }

  function write(name: string, args: (string | Buffer)[]): Promise<Buffer | null> {
    cork()
    const command = new RedisCommand(name, args)
    void client.sendCommand(command)
    return command.promise as Promise<Buffer | null>
  }

  function send(name: string, args: (string | Buffer)[], attempt: Attempt = {}): Promise<Buffer | null> {
    if (!isReady()) return sendAgain(name, args, attempt)
    return write(name, args).catch((error: Error) => {
      if (isReply(error)) return refine(error)
      attempt.isRepeated = true
      return sendAgain(name, args, attempt)
    })
  }

  /** Until Redis answers, or until the deadline: a network that flaps may cut a command more than once. */
  async function sendAgain(name: string, args: (string | Buffer)[], attempt: Attempt): Promise<Buffer | null> {
    const giveUpAt = performance.now() + waitMs
    for (;;) {
      try {
        await whenReady()
        return await write(name, args)
      } catch (error) {
        if (isReply(error as Error) || performance.now() >= giveUpAt) return refine(error as Error)
        attempt.isRepeated = true
      }
    }
  }

  function refine(error: Error): never {
    if (isReply(error)) throw new StoreRefusal(explain(error.message), { cause: error })
    throw lastError ? new Error(`connection lost: ${lastError.message}`, { cause: error }) : error
  }

  async function evaluate(script: RedisScript, keysAndArgs: readonly (string | Buffer)[], attempt?: Attempt): Promise<unknown> {
    try {
      return await send('evalsha', [script.sha1, ...keysAndArgs], attempt)
    } catch (error) {
      if (!(error instanceof StoreRefusal && error.message.startsWith('NOSCRIPT'))) throw error
      return send('eval', [script.source, ...keysAndArgs], attempt)
    }
  }

  return {
    send: (name, args) => send(name, args),
    evaluate,
    atEndOfTurn,
    ...(client instanceof Cluster && { partOf: (key: string) => client.slots[slotOf(key)]?.[0] ?? '' }),

    async scan(cursor = '0:0', prefix, count) {
      const [index = 0, position = '0'] = [Number(cursor.split(':')[0]), cursor.split(':')[1]]
      const masters = client instanceof Redis ? [client] : client.nodes('master')
      const [after, keys] = await masters[index]?.scan(position, 'MATCH', `${globQuoted(prefix)}*`, 'COUNT', count) ?? ['0', []]
      if (after !== '0') return { keys, next: `${index}:${after}` }
      return { keys, next: index + 1 < masters.length ? `${index + 1}:0` : undefined }
    },

    close() {
      waiting.clear()
      client.disconnect()
    },
  }
}

function connect(options: RedisClientOptions): Redis | Cluster {
  const { timeoutMs, sentinel, cluster } = options
  const { host, port, path, db, secure, username = options.username, password = options.password } = parseRedisUrl(options.url)
  const retryDelay = (attempt: number) => Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), LAST_RETRY_MS)
  const connectTimeout = connectTimeoutOf(timeoutMs)
  const tls = secure || options.tls ? { ...options.tls } : undefined
  const common = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    db,
    ...(tls ? { tls } : {}),
    connectionName: 'sessiongate',
    connectTimeout,
    maxLoadingRetryTime: LAST_RETRY_MS,
    disconnectTimeout: timeoutMs,
    socketTimeout: 2 * timeoutMs,                                   // a half-open connection is replaced, not waited for
    maxRetriesPerRequest: 0,                                        // a lost command is rejected at once; `send` decides what next
    autoResendUnfulfilledCommands: false,
    reconnectOnError: reconnectOnReadonly(),
  } satisfies RedisOptions

  if (cluster) {
    return new Cluster(cluster.map(parseRedisNode), {
      redisOptions: { ...common, db: 0 },
      enableOfflineQueue: false,
      clusterRetryStrategy: retryDelay,
      slotsRefreshTimeout: connectTimeout,
      retryDelayOnFailover: FIRST_RETRY_MS,
      retryDelayOnClusterDown: FIRST_RETRY_MS,
      retryDelayOnTryAgain: FIRST_RETRY_MS,
    } satisfies ClusterOptions)
  }
  const standalone = { ...common, enableOfflineQueue: false, retryStrategy: retryDelay } satisfies RedisOptions
  if (!sentinel) return new Redis({ ...standalone, ...(path ? { path } : { host: host!, port: port! }) })
  return new Redis({
    ...standalone,
    name: sentinel.name,
    sentinels: sentinel.nodes.map(parseRedisNode),
    ...(sentinel.username === undefined ? {} : { sentinelUsername: sentinel.username }),
    ...(sentinel.password === undefined ? {} : { sentinelPassword: sentinel.password }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls } : {}),
    sentinelCommandTimeout: timeoutMs,
    sentinelRetryStrategy: retryDelay,
    failoverDetector: true,
  })
}

/** A master that became a replica is left for the new one; not oftener than once a second, since reads in flight go down with it. */
function reconnectOnReadonly(): (error: Error) => boolean {
  let last = Number.NEGATIVE_INFINITY
  return ({ message }) => {
    if (!message.includes('READONLY') || performance.now() - last < READONLY_RECONNECT_MS) return false
    last = performance.now()
    return true
  }
}

function globQuoted(text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}

function isReply(error: Error): boolean {
  return error.name === 'ReplyError' || error.constructor.name === 'ReplyError'
}

const REMEDIES: readonly (readonly [code: string, remedy: string])[] = [
  ['OOM', 'Redis is out of memory: raise maxmemory or choose an eviction policy'],
  ['READONLY', 'this Redis is a replica: connect to the master, or through Sentinel'],
  ['WRONGTYPE', 'the key holds a value of another kind: choose another keyPrefix'],
  ['NOAUTH', 'Redis asks for a password: set store.password'],
  ['WRONGPASS', 'Redis refuses the user name or password'],
  ['NOPERM', 'the Redis user lacks a permission'],
  ["can't run this command", 'the Redis user lacks a permission'],
  ['MISCONF', 'Redis cannot save to its disk and refuses writes'],
  ['LOADING', 'Redis is loading its data'],
  ['CLUSTERDOWN', 'the Redis cluster has no node for this key'],
]

function explain(reply: string): string {
  const [, remedy] = REMEDIES.find(([code]) => reply.includes(code)) ?? []
  return remedy ? `${reply} (${remedy})` : reply
}
