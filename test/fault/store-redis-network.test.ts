import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { EpochMs, Version } from '../../src/session/session.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore, WriteOutcome } from '../../src/stores/store.ts'
import { makeLeaf, makeSelfSigned, testCertificates } from '../support/certificates.ts'
import { startRelay } from '../support/relay.ts'
import { startRedis } from '../support/servers.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor } from '../support/wait-for.ts'

const TIMEOUT_MS = 250
const ANSWER_MS = TIMEOUT_MS + 100
const RECOVERY_MS = 2_000

const bytes = Buffer.alloc(3_000, 7)
const open: SessionStore[] = []
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())))

function openRedis(options: RedisStoreOptions): SessionStore {
  const store = guardStore(createRedisStore({ timeoutMs: TIMEOUT_MS, ...options }), { timeoutMs: TIMEOUT_MS })
  open.push(store)
  return store
}

const inAnHour = () => (systemClock() + 3_600_000) as EpochMs
const serves = (store: SessionStore) => waitFor(() => store.ping().then(() => true, () => false), 'store that serves', RECOVERY_MS)

function versionOf(written: WriteOutcome): Version {
  if (written.outcome !== 'stored') throw new Error(`not stored but ${written.outcome}`)
  return written.version
}

async function expectRefusedInTime(call: () => Promise<unknown>): Promise<void> {
  const elapsed = startStopwatch()
  await expect(call()).rejects.toBeInstanceOf(StoreUnavailableError)
  expect(elapsed()).toBeLessThan(ANSWER_MS)
}

test('a black hole: calls are answered in time, the half-open connection is replaced, and it serves again', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  await serves(store)
  const version = versionOf(await store.create('a', bytes, inAnHour()))
  relay.set({ blackHole: true })
  for (let round = 0; round < 3; round++) await expectRefusedInTime(() => store.load('a'))
  const connections = relay.connectionCount
  await relay.waitForConnections(connections + 1)
  relay.heal()
  await serves(store)
  expect((await store.load('a'))?.version).toBe(version)
})

test('a network slower than the deadline: calls are answered in time, and serve when it is quick again', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  await serves(store)
  relay.set({ latencyMs: 400 })
  for (let round = 0; round < 3; round++) await expectRefusedInTime(() => store.load('a'))
  relay.heal()
  await serves(store)
})

test('a slow network within the deadline is no fault', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = guardStore(createRedisStore({ url: `redis://${relay.address}`, timeoutMs: 2_000 }), { timeoutMs: 2_000 })
  open.push(store)
  await serves(store)
  relay.set({ latencyMs: 40, sliceBytes: 100 })
  const version = versionOf(await store.create('a', bytes, inAnHour()))
  expect((await store.load('a'))?.version).toBe(version)
})

test('a connection reset in the middle of a reply is repaired within the call', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  await serves(store)
  const version = versionOf(await store.create('a', bytes, inAnHour()))
  for (const resetAfterBytes of [1, 5, 100, 2_000]) {
    relay.set({ resetAfterBytes }, 'down')
    const loading = store.load('a')
    await relay.waitForConnections(relay.connectionCount + 1)
    relay.set({ resetAfterBytes: undefined }, 'down')
    const record = await loading.catch(() => store.load('a'))              // a second cut may have hit the handshake
    expect(record?.version).toBe(version)
    expect(Buffer.from(record!.bytes).equals(bytes)).toBe(true)
  }
})

test('a write whose answer was lost is recognised when it is sent again', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  await serves(store)
  let version = versionOf(await store.create('a', Buffer.from('start'), inAnHour()))
  version = versionOf(await store.replace('a', version, Buffer.from('0'), inAnHour()))   // now the server knows the script
  for (let count = 1; count <= 5; count++) {
    relay.set({ hold: true }, 'down')
    const writing = store.replace('a', version, Buffer.from(String(count)), inAnHour())
    await waitFor(async () => await server.command('GETRANGE', 'session:a', '33', '-1') === String(count), `write ${count} that arrived`)
    relay.resetAll()
    relay.set({ hold: undefined }, 'down')
    version = versionOf(await writing)
    expect(String(Buffer.from((await store.load('a'))!.bytes))).toBe(String(count))
  }
})

test('a write whose answer was lost, and over which another wrote, is unknown: never a conflict, which would say that it was not stored', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  const witness = openRedis(server)
  await serves(store)
  await serves(witness)
  const first = versionOf(await store.create('a', bytes, inAnHour()))
  const version = versionOf(await store.replace('a', first, bytes, inAnHour()))            // now the server knows the script
  relay.set({ hold: true }, 'down')
  const writing = store.replace('a', version, Buffer.from('ours'), inAnHour())
  await waitFor(async () => await server.command('GETRANGE', 'session:a', '33', '-1') === 'ours', 'write that arrived')
  versionOf(await witness.replace('a', (await witness.load('a'))!.version, Buffer.from('theirs'), inAnHour()))
  relay.resetAll()
  relay.set({ hold: undefined }, 'down')
  await expect(writing).rejects.toThrow(/unknown whether it was stored/)
  expect(await store.replace('a', version, bytes, inAnHour())).toMatchObject({ outcome: 'conflict' })
})

test('refused connections are named, and the next accepted one serves', async () => {
  await using server = await startRedis()
  await using relay = await startRelay(server.port)
  const store = openRedis({ url: `redis://${relay.address}` })
  await serves(store)
  relay.refuse()
  relay.resetAll()
  await expect(store.load('a')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/)
  await relay.accept()
  await serves(store)
})

test('TLS: a trusted server serves; a self-signed one, a foreign name and plain text are refused by name', async () => {
  const { ca, caFile, server: leaf } = testCertificates()
  const startTls = (certificate: { certFile: string; keyFile: string }) => startRedis(
    '--tls-cert-file', certificate.certFile, '--tls-key-file', certificate.keyFile, '--tls-ca-cert-file', caFile,
    '--tls-auth-clients', 'no', '--tls-port')
  await using trusted = await startTls(leaf)
  const store = openRedis({ url: trusted.tlsUrl, tls: { ca } })
  await serves(store)
  versionOf(await store.create('a', bytes, inAnHour()))

  await expect(openRedis({ url: trusted.tlsUrl }).ping()).rejects.toThrow(/certificate/)
  await using selfSigned = await startTls(makeSelfSigned())
  await expect(openRedis({ url: selfSigned.tlsUrl, tls: { ca } }).ping()).rejects.toThrow(/certificate/)
  await using misnamed = await startTls(makeLeaf({ names: ['elsewhere.example'] }))
  await expect(openRedis({ url: misnamed.tlsUrl, tls: { ca } }).ping()).rejects.toThrow(/altnames/)
  await expect(openRedis({ url: trusted.url.replace('redis:', 'rediss:'), tls: { ca } }).ping()).rejects.toBeInstanceOf(StoreUnavailableError)
})
