import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { MemcachedStoreOptions } from '../../src/stores/memcached.ts'
import { createMemcachedStore } from '../../src/stores/memcached.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { startMemcached } from '../support/servers.ts'
import { inAnHour, testNetworkFaults, TIMEOUT_MS, versionOf } from '../support/store-faults.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor } from '../support/wait-for.ts'

describe('memcached', () => {
  testNetworkFaults({
    start: () => startMemcached(),
    open: (_server, address, timeoutMs) => createMemcachedStore({ servers: [address], timeoutMs }),
    isDurable: false,
    isOneStep: false,
  })
})

const opened: SessionStore[] = []
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))
function open(options: MemcachedStoreOptions): SessionStore {
  const { timeoutMs = TIMEOUT_MS } = options
  const store = guardStore(createMemcachedStore({ ...options, timeoutMs }), { timeoutMs })
  opened.push(store)
  return store
}

test('evictions are counted; what was evicted is absent, and a late write does not bring it back', async () => {
  await using server = await startMemcached('-m', '4', '-I', '512k')
  let evicted = 0
  const store = open({ servers: [server.address], statsIntervalMs: 10, onEvicted: (count) => { evicted += count } })
  const version = versionOf(await store.create('first', Buffer.alloc(50_000), inAnHour()))
  for (let index = 0; evicted === 0 && index < 2_000; index++) await store.create(`key ${index}`, Buffer.alloc(50_000), inAnHour())
  await waitFor(() => evicted > 0, 'evictions')
  await waitFor(async () => {
    await store.create(`more ${Math.random()}`, Buffer.alloc(50_000), inAnHour())
    return await store.replace('first', version, Buffer.from('late'), inAnHour()).then(({ outcome }) => outcome === 'missing')
  }, 'eviction of the first')
  expect(await store.load('first')).toBeUndefined()
})

test('a record over the item size limit is refused with a remedy, the one before it stays, the circuit stays closed', async () => {
  await using server = await startMemcached()
  const store = open({ servers: [server.address] })
  const version = versionOf(await store.create('a', Buffer.from('x'), inAnHour()))
  for (let round = 0; round < 6; round++) {
    await expect(store.replace('a', version, Buffer.alloc(1_100_000), inAnHour())).rejects.toThrow(/too large.*raise its item size limit/)
  }
  expect((await store.load('a'))?.version).toBe(version)
})

test('of three servers one is away: its sessions are unavailable, all others are served, and none moves', async () => {
  const [one, two, three] = await Promise.all([startMemcached(), startMemcached(), startMemcached()])
  await using first = one
  await using second = two
  await using third = three
  const store = open({ servers: [first, second, third].map(({ address }) => address), timeoutMs: 1_000 })
  const witness = open({ servers: [second.address], timeoutMs: 1_000 })
  const keys = Array.from({ length: 60 }, (_, index) => `key ${index}`)
  const mine = new Set<string>()
  for (const key of keys) {
    versionOf(await store.create(key, Buffer.from(key), inAnHour()))
    if (await witness.load(key)) mine.add(key)
  }
  expect(mine.size).toBeGreaterThan(5)                               // so many in a row open a circuit
  const away = new Set<string>()
  second.pause()
  try {
    const load = (key: string) => store.load(key).then((record) => expect(String(Buffer.from(record!.bytes))).toBe(key), () => away.add(key))
    for (let round = 0; round < 3; round++) {
      await Promise.all(keys.map(load))
      await Promise.all(keys.filter((key) => !mine.has(key)).map(load))
    }
  } finally {
    second.resume()
  }
  expect(away).toEqual(mine)
  await waitFor(() => Promise.all(keys.map((key) => store.load(key))).then((records) => records.every(Boolean), () => false), 'sessions that are back', 2_000)
})

test('servers listed in another order hold the same keys', async () => {
  const [one, two] = await Promise.all([startMemcached(), startMemcached()])
  await using first = one
  await using second = two
  const writer = open({ servers: [first.address, second.address] })
  const reader = open({ servers: [second.address, first.address] })
  for (let index = 0; index < 30; index++) {
    await writer.create(`key ${index}`, Buffer.from('x'), inAnHour())
    expect(await reader.load(`key ${index}`)).toBeDefined()
  }
})

test('a value of somebody else under the key is an answer, never "no session"', async () => {
  await using server = await startMemcached()
  const socket = connect(server.port, '127.0.0.1')
  socket.write('set session:a 0 0 5\r\nhello\r\n')
  await new Promise((resolve) => { socket.once('data', resolve) })
  socket.destroy()
  await expect(open({ servers: [server.address] }).load('a')).rejects.toThrow(/did not write/)
})

test.each([
  ['what no memcached says', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ['a value longer than it said', 'VALUE session:a 0 3 1\r\nabcdef\r\nEND\r\n'],
  ['a length that is none', 'VALUE session:a 0 x 1\r\nabc\r\nEND\r\n'],
  ['a line without an end', 'x'.repeat(5_000)],
  ['nothing, and goes', ''],
  ['ERROR', 'ERROR\r\n'],
])('a server that says %s is unavailable, in time', async (_name, bytes) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => bytes ? socket.write(bytes) : socket.destroy())
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const store = open({ servers: [`127.0.0.1:${(server.address() as AddressInfo).port}`] })
  const elapsed = startStopwatch()
  await expect(store.load('a')).rejects.toBeInstanceOf(StoreUnavailableError)
  expect(elapsed()).toBeLessThan(TIMEOUT_MS + 100)
  server.close()
})
