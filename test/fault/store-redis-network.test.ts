import { afterEach, describe, expect, test } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import type { RedisStoreOptions } from '../../src/stores/redis.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { createSharedRedisStore } from '../../src/stores/redis-shared.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { makeLeaf, makeSelfSigned, testCertificates } from '../support/certificates.ts'
import { startRedis } from '../support/servers.ts'
import { inAnHour, serves, testNetworkFaults, TIMEOUT_MS, versionOf } from '../support/store-faults.ts'

describe.each([
  ['records of its own', createRedisStore],
  ['records shared with Flask-Session', (options: RedisStoreOptions) => createSharedRedisStore({ ...options, keyPrefix: 'session:', lifetimeMs: 3_600_000 })],
] as const)('Redis, %s', (_what, create) => {
  testNetworkFaults({
    start: () => startRedis(),
    open: (_server, address, timeoutMs) => create({ url: `redis://${address}`, timeoutMs }),
    isDurable: false,
    isOneStep: true,
  })
})

const opened: SessionStore[] = []
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

function openRedis(options: RedisStoreOptions): SessionStore {
  const store = guardStore(createRedisStore({ timeoutMs: TIMEOUT_MS, ...options }), { timeoutMs: TIMEOUT_MS })
  opened.push(store)
  return store
}

test('TLS: a trusted server serves; a self-signed one, a foreign name and plain text are refused by name', async () => {
  const { ca, caFile, server: leaf } = testCertificates()
  const startTls = (certificate: { certFile: string; keyFile: string }) => startRedis(
    '--tls-cert-file', certificate.certFile, '--tls-key-file', certificate.keyFile, '--tls-ca-cert-file', caFile,
    '--tls-auth-clients', 'no', '--tls-port')
  await using trusted = await startTls(leaf)
  const store = openRedis({ url: trusted.tlsUrl, tls: { ca } })
  await serves(store)
  versionOf(await store.create('a', Buffer.from('x'), inAnHour()))

  await expect(openRedis({ url: trusted.tlsUrl }).ping()).rejects.toThrow(/certificate/)
  await using selfSigned = await startTls(makeSelfSigned())
  await expect(openRedis({ url: selfSigned.tlsUrl, tls: { ca } }).ping()).rejects.toThrow(/certificate/)
  await using misnamed = await startTls(makeLeaf({ names: ['elsewhere.example'] }))
  await expect(openRedis({ url: misnamed.tlsUrl, tls: { ca } }).ping()).rejects.toThrow(/altnames/)
  await expect(openRedis({ url: trusted.url.replace('redis:', 'rediss:'), tls: { ca } }).ping()).rejects.toBeInstanceOf(StoreUnavailableError)
})
