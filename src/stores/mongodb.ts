import type { Collection, MongoClientOptions } from 'mongodb'
import { MongoClient, MongoError, MongoNetworkError, MongoServerError } from 'mongodb'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { EpochMs, Version } from '../session/session.ts'
import { connectTimeoutOf } from './connect-timeout.ts'
import type { Entries, Entry } from './entry-store.ts'
import { createEntryStore } from './entry-store.ts'
import { StoreRefusal } from './refusal.ts'
import type { SessionStore } from './store.ts'

export interface MongodbStoreOptions {
  /** `mongodb://...` or `mongodb+srv://...`, with whatever the driver takes as query parameters. */
  readonly url: string
  /** Default `sessiongate`. */
  readonly database?: string
  /** Default `sessions`. */
  readonly collection?: string
  /** Default 500. */
  readonly timeoutMs?: number
  /** How often the index by which the server deletes expired documents is looked after. Default 60 s. */
  readonly indexIntervalMs?: number
  readonly clock?: Clock
}

/** A record, or a tombstone (no data). */
interface SessionDocument {
  readonly _id: string
  readonly version: string
  readonly data: Buffer | null
  readonly expiresAt: Date
}

const MAX_CONNECTIONS = 10
const HEARTBEAT_MS = 500
/** How soon a server that lost a connection is looked at again; until then the driver serves nobody. */
const MIN_HEARTBEAT_MS = 50
const RETRY_PAUSE_MS = 10
/** A client that has had no answer for this long is given up: it would have seen the server again twice. */
const STUCK_MS = 1_000
/** Documents go only when they are dead by this much, so that no clock that is ahead ends what others serve. */
const GRACE_SECONDS = 60
const DUPLICATE_KEY = 11000
/** No key is empty. */
const NO_KEY = ''

/**
 * Sessions in a MongoDB collection, one document per key. A write names the expected version in its filter, and is acknowledged by a
 * majority, so that a failover keeps it; reads are of the primary. Returns at once and connects in the background: `ping` tells when
 * it serves.
 */
export function createMongodbStore(options: MongodbStoreOptions): SessionStore {
  const { timeoutMs = 500, clock = systemClock, indexIntervalMs = 60_000 } = options
  const waitMs = Math.floor(timeoutMs * 0.9)                        // ends before the caller's deadline, to tell the cause
  const driverOptions: MongoClientOptions = {
    appName: 'sessiongate',
    serverSelectionTimeoutMS: waitMs,
    waitQueueTimeoutMS: waitMs,
    socketTimeoutMS: waitMs,                                        // a half-open connection is replaced, not waited for
    connectTimeoutMS: connectTimeoutOf(timeoutMs),
    heartbeatFrequencyMS: HEARTBEAT_MS,
    minHeartbeatFrequencyMS: MIN_HEARTBEAT_MS,
    serverMonitoringMode: 'poll',
    maxPoolSize: MAX_CONNECTIONS,
    readPreference: 'primary',
    writeConcern: { w: 'majority' },
  }
  let client: Promise<MongoClient> | undefined
  let answeredAt = performance.now()
  let isClosed = false

  /** A client whose first connection failed is of no more use. */
  async function connect(): Promise<MongoClient> {
    const next = new MongoClient(options.url, driverOptions)
    try {
      const connected = await next.connect()
      answeredAt = performance.now()
      return connected
    } catch (error) {
      client = undefined
      await next.close(true)
      throw error
    }
  }

  function documentsOf(connected: MongoClient): Collection<SessionDocument> {
    return connected.db(options.database ?? 'sessiongate').collection<SessionDocument>(options.collection ?? 'sessions', { promoteBuffers: true })
  }

  /** Carries out a step, again when its connection was lost under it, until the deadline. */
  async function run<T>(step: (documents: Collection<SessionDocument>) => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    for (;;) {
      const used = client ??= connect()
      try {
        const result = await step(documentsOf(await used))
        answeredAt = performance.now()
        return result
      } catch (error) {
        if (error instanceof MongoServerError) answeredAt = performance.now()
        else replaceIfStuck(used)
        if (!isLoss(error) || performance.now() - startedAt > timeoutMs) throw refine(error)
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS))
      }
    }
  }

  /**
   * The driver reconnects for ever, but for one case: what it writes to a connection that has just been ended waits for ever (its
   * Connection.writeCommand awaits a drain of a closed socket). When that is the look it takes at the server, it never looks again.
   */
  function replaceIfStuck(used: Promise<MongoClient>): void {
    if (isClosed || client !== used || performance.now() - answeredAt < STUCK_MS) return
    client = undefined
    void used.then((stuck) => stuck.close(true)).catch(() => undefined)
  }

  const entries: Entries = {
    async read(key) {
      const found = await run((documents) => documents.findOne({ _id: key }))
      return found ? entryOf(found) : undefined
    },
    async readAll(keys) {
      const found = await run((documents) => documents.find({ _id: { $in: [...keys] } }).toArray())
      return new Map(found.map((document) => [document._id, entryOf(document)]))
    },
    async page(after, limit) {
      const found = await run((documents) => documents.find({ _id: { $gt: after } }).sort({ _id: 1 }).limit(limit).toArray())
      return found.map((document) => [document._id, entryOf(document)])
    },
    async insert(key, entry) {
      try {
        await run((documents) => documents.insertOne({ _id: key, ...documentOf(entry) }))
        return true
      } catch (error) {
        if (error instanceof StoreRefusal && (error.cause as MongoServerError).code === DUPLICATE_KEY) return false
        throw error
      }
    },
    async overwrite(key, expected, entry, aliveAt) {
      const filter = { _id: key, version: expected, expiresAt: { $gt: new Date(aliveAt) } }
      let attempts = 0
      const { matchedCount } = await run((documents) => {
        attempts++
        return documents.updateOne(filter, { $set: documentOf(entry) })
      })
      return matchedCount === 1 ? 'done' : attempts > 1 ? 'perhaps' : 'none'
    },
    async touch(key, expiresAt, now) {
      const filter = { _id: key, data: { $ne: null }, expiresAt: { $gt: new Date(now) } }
      await run((documents) => documents.updateOne(filter, { $set: { expiresAt: new Date(expiresAt) } }))
    },
    async ping() {
      await run((documents) => documents.updateOne({ _id: NO_KEY }, { $set: { version: '' } }))   // a write of no document
    },
    async close() {
      isClosed = true
      clearInterval(caring)
      await (await client?.catch(() => undefined))?.close(true)
    },
  }

  /** The server deletes what has expired, by an index that is made again when the collection was dropped. */
  async function ensureIndex(): Promise<void> {
    await run((documents) => documents.createIndex({ expiresAt: 1 }, { expireAfterSeconds: GRACE_SECONDS }))
  }
  const care = () => void ensureIndex().catch(() => undefined)      // an outage shows itself on the calls of users
  const caring = setInterval(care, indexIntervalMs).unref()
  care()

  return createEntryStore('mongodb', entries, clock)
}

function documentOf({ version, bytes, expiresAt }: Entry): Omit<SessionDocument, '_id'> {
  return { version, data: bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : null, expiresAt: new Date(expiresAt) }
}

function entryOf({ version, data, expiresAt }: SessionDocument): Entry {
  if (typeof version !== 'string' || !(data === null || Buffer.isBuffer(data)) || !(expiresAt instanceof Date)) {
    throw new StoreRefusal('the document holds values of other types: choose another collection')
  }
  return { version: version as Version, bytes: data ?? undefined, expiresAt: expiresAt.getTime() as EpochMs }
}

/** The step may be carried out again: it was not answered (the socket's own errors come through too), or not by the primary. */
function isLoss(error: unknown): boolean {
  return !(error instanceof MongoError) || error instanceof MongoNetworkError || error.hasErrorLabel('RetryableWriteError')
}

function refine(error: unknown): unknown {
  return error instanceof MongoServerError && !isLoss(error) ? new StoreRefusal(error.message, { cause: error }) : error
}
