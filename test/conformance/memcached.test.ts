import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createMemcachedStore } from '../../src/stores/memcached.ts'
import type { MemcachedServer } from '../support/servers.ts'
import { startMemcached } from '../support/servers.ts'

const TIMEOUT_MS = 5_000                                             // the promises are tested here, not the machine's speed
/** An item holds the record, 33 bytes of ours and some of memcached's, and has 1 MiB in all. */
const MAX_VALUE_BYTES = 1_048_576 - 500

describe.each([['one memcached', 1], ['three memcacheds', 3]])('%s', (_name, count) => {
  let servers: MemcachedServer[]
  beforeAll(async () => { servers = await Promise.all(Array.from({ length: count }, () => startMemcached())) })
  afterAll(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())))

  const open = (clock: Clock) => createMemcachedStore({ servers: servers.map(({ address }) => address), clock, timeoutMs: TIMEOUT_MS })
  for (const { name, run } of storeConformance({ open, maxValueBytes: MAX_VALUE_BYTES })) test(name, run)
})

describe('memcached, guarded, with a prefix of the greatest length', () => {
  let server: MemcachedServer
  beforeAll(async () => { server = await startMemcached() })
  afterAll(() => server[Symbol.asyncDispose]())

  const open = (clock: Clock) => guardStore(
    createMemcachedStore({ servers: [server.address], clock, timeoutMs: TIMEOUT_MS, keyPrefix: 'x'.repeat(64) }), { timeoutMs: TIMEOUT_MS },
  )
  for (const { name, run } of storeConformance({ open, maxValueBytes: MAX_VALUE_BYTES })) test(name, run)
})
