import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { store as schema } from '../../src/config/store-schema.ts'
import { openStore } from '../../src/stores/open-store.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { makeLeaf, testCertificates, type Certificate } from '../support/certificates.ts'
import { startMariadb, startPostgres, tlsSettings, type ServerProcess } from '../support/servers.ts'
import { inAnHour, versionOf } from '../support/store-faults.ts'

interface TlsServer extends ServerProcess {
  readonly url: string
  query(text: string): Promise<unknown[][]>
}
interface Subject {
  readonly kind: 'postgres' | 'mysql'
  readonly start: (certificate: Certificate) => Promise<TlsServer>
  /** Answers with a row for each of our connections, the first column true or false: encrypted or not. */
  readonly encrypted: string
  readonly plainIsRefusedWith: RegExp
}

const encryptedThreads = `SELECT connection_type = 'SSL/TLS' FROM performance_schema.threads WHERE processlist_user = 'gate'`
const mysqlOptions = ({ certFile, keyFile }: Certificate) =>
  [`--ssl-cert=${certFile}`, `--ssl-key=${keyFile}`, `--ssl-ca=${testCertificates().caFile}`, '--require-secure-transport=ON', '--performance-schema=ON']
const subjects: Record<string, Subject> = {
  PostgreSQL: {
    kind: 'postgres', start: (certificate) => startPostgres(...tlsSettings(certificate)), plainIsRefusedWith: /pg_hba.conf/,
    encrypted: `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sessiongate'`,
  },
  MariaDB: { kind: 'mysql', start: (certificate) => startMariadb(...mysqlOptions(certificate)), encrypted: encryptedThreads, plainIsRefusedWith: /Access denied/ },
}

const opened: SessionStore[] = []
afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

describe.each(Object.entries(subjects))('TLS to %s', (_name, { kind, start, encrypted, plainIsRefusedWith }) => {
  /** As the configuration has it. */
  async function open(server: TlsServer, { host = 'localhost', ...options }: { host?: string; tls?: { caFile?: string } } = {}): Promise<SessionStore> {
    const store = await openStore(schema.parse({ kind, url: server.url.replace('127.0.0.1', host), timeout: '2s', ...options }), { clock: systemClock })
    opened.push(store)
    return store
  }

  test('a server that the given authority signed serves, by its name and by its address, and every byte is encrypted', async () => {
    const { caFile, server: leaf } = testCertificates()
    await using server = await start(leaf)
    for (const host of ['localhost', '127.0.0.1']) {
      const store = await open(server, { host, tls: { caFile } })
      const version = versionOf(await store.create(host, Buffer.from('x'), inAnHour()))
      expect((await store.load(host))?.version).toBe(version)
    }
    const connections = (await server.query(encrypted)).flat()
    expect(connections.length).toBeGreaterThan(0)
    expect(connections.every((isEncrypted) => Boolean(isEncrypted))).toBe(true)

    await expect((await open(server, { tls: {} })).ping()).rejects.toThrow(/certificate/)
    if (kind === 'postgres') await expect((await open({ ...server, url: `${server.url}?sslmode=verify-full` })).ping()).rejects.toThrow(/certificate/)
    else await expect((await open(server)).ping()).rejects.toThrow(plainIsRefusedWith)
  })

  test('a server with a certificate for another name is refused by name', async () => {
    await using server = await start(makeLeaf({ names: ['elsewhere.example'] }))
    await expect((await open(server, { tls: { caFile: testCertificates().caFile } })).ping()).rejects.toThrow(/altnames/)
  })
})
