import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { MongoClient } from 'mongodb'
import { freePort } from '../ports.ts'
import type { ServerProcess } from './process.ts'
import { serverDirectory, startServer } from './process.ts'

export interface MongodbServer extends ServerProcess {
  readonly port: number
  /** mongodb://127.0.0.1:port */
  readonly url: string
  /** What `work` makes of a connection of its own. */
  query<T>(work: (client: MongoClient) => Promise<T>): Promise<T>
}

const CLASSES = resolve(import.meta.dirname, '../../../.venv/mongodb')
const SMALL_JVM = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']

/** A server of MongoDB's protocol, in memory, which test/run.sh brings (mongo-java-server: no Debian or npm package brings a mongod). */
export async function startMongodb(): Promise<MongodbServer> {
  if (!existsSync(resolve(CLASSES, 'MongodbServer.class'))) throw new Error('this test needs its MongoDB server: bash test/support/servers/build-mongodb.sh .venv/mongodb')
  const port = await freePort()
  const directory = serverDirectory()
  const url = `mongodb://127.0.0.1:${port}`
  const server = await startServer({
    binary: 'java',
    debianPackage: 'default-jdk-headless',
    args: [...SMALL_JVM, '-cp', `${CLASSES}:${CLASSES}/*`, 'MongodbServer', String(port)],
    directory,
    isUp: () => query(url, (client) => prepare(client, 'sessiongate')),
  })
  return Object.assign(server, { port, url, query: <T>(work: (client: MongoClient) => Promise<T>) => query(url, work) })
}

/** Makes the store's collection and index: this server fails a write of an instant in which an index is made. */
export async function prepare(client: MongoClient, database: string): Promise<void> {
  await client.db(database).collection('sessions').createIndex({ expiresAt: 1 }, { expireAfterSeconds: 60 })
}

async function query<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 1_000 })
  try {
    return await work(client)
  } finally {
    await client.close(true)
  }
}
