import { afterAll, beforeAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createMongodbStore } from '../../src/stores/mongodb.ts'
import type { MongodbServer } from '../support/servers.ts'
import { startMongodb } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed

describe('mongodb', () => {
  let server: MongodbServer
  beforeAll(async () => { server = await startMongodb() })
  afterAll(() => server[Symbol.asyncDispose]())

  for (const { name, run } of storeConformance({ open: (clock) => createMongodbStore({ url: server.url, clock, timeoutMs: TIMEOUT_MS }), scans: true })) test(name, run)
})
