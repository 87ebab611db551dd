import { MongoClient } from 'mongodb'
import type { EpochMs } from '../session/session.ts'
import type { MigrationSource } from './source.ts'
import { SourceError } from './source.ts'

/** A session as Flask-Session stores it: `id` is prefix and sid, `expiration` a UTC date. */
interface FlaskDocument {
  readonly id?: unknown
  readonly val?: unknown
  readonly expiration?: unknown
}

const BATCH = 500
const TIMEOUT_MS = 4_000
const DEFAULT_DATABASE = 'flask_session'

/** Flask-Session in MongoDB. The path of the URL is SESSION_MONGODB_DB, unless it is the default. */
export async function openMongodbSource(url: string, collection: string, keyPrefix: string): Promise<MigrationSource> {
  const database = decodeURIComponent(/^mongodb(?:\+srv)?:\/\/[^/]*\/([^?]*)/.exec(url)?.[1] ?? '') || DEFAULT_DATABASE
  const client = await open(url)
  const documents = client.db(database).collection<FlaskDocument>(collection, { promoteBuffers: true })
  try {
    return {
      by: 'sid',
      total: await documents.estimatedDocumentCount(),
      async* records() {
        const found = documents.find({}, { projection: { _id: 0, id: 1, val: 1, expiration: 1 }, batchSize: BATCH })
        for await (const { id, val, expiration } of found) {
          if (typeof id !== 'string' || !id.startsWith(keyPrefix)) continue
          const bytes = typeof val === 'string' ? Buffer.from(val) : val instanceof Uint8Array ? val : new Uint8Array(0)
          yield { name: id.slice(keyPrefix.length), bytes, expiresAt: expiration instanceof Date ? expiration.getTime() as EpochMs : undefined }
        }
      },
      close: () => client.close(),
    }
  } catch (error) {
    await client.close()
    throw unreadable(error)
  }
}

async function open(url: string): Promise<MongoClient> {
  try {
    const client = new MongoClient(url, { serverSelectionTimeoutMS: TIMEOUT_MS, connectTimeoutMS: TIMEOUT_MS, appName: 'sessiongate migrate' })
    try {
      return await client.connect()
    } catch (error) {
      await client.close()
      throw error
    }
  } catch (error) {
    throw unreadable(error)
  }
}

function unreadable(error: unknown): SourceError {
  return new SourceError(`the MongoDB to migrate from cannot be read: ${error instanceof Error ? error.message : 'unknown'}`, { cause: error })
}
