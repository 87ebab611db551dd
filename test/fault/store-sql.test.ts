import { randomBytes, randomUUID } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createMysqlStore } from '../../src/stores/mysql.ts'
import { createPostgresStore } from '../../src/stores/postgres.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { lostIn, startCountingLoad, type Tally } from '../support/counting-load.ts'
import { startMariadb, startMysql, startPostgres, type ServerProcess } from '../support/servers.ts'
import { inAnHour, RECOVERY_MS, versionOf } from '../support/store-faults.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { waitFor } from '../support/wait-for.ts'

const TIMEOUT_MS = 500
const ANSWER_MS = TIMEOUT_MS + 100
/** More than PostgreSQL's log needs, less than the records below. */
const DISK_BYTES = 24_000_000

interface SqlServer extends ServerProcess {
  readonly url: string
  /** From here on there is little room left. Undefined where the server takes that badly: MySQL 8.0.15 in a full tablespace hangs. */
  readonly fill?: () => void
  /** There is again. Undefined where the server cannot be given any. */
  readonly makeRoom?: () => void
}

interface Subject {
  readonly start: () => Promise<SqlServer>
  readonly open: (url: string, timeoutMs: number) => SessionStore
  /** Takes one connection; what ends it. Rejects when there is none left. */
  readonly occupy: (url: string) => Promise<() => void>
}

const occupyMysql: Subject['occupy'] = async (uri) => {
  const connection = await createConnection({ uri })
  return () => connection.destroy()
}
const openMysql: Subject['open'] = (url, timeoutMs) => createMysqlStore({ url, timeoutMs })
/** One tablespace, which does not grow. */
const SMALL = ['--innodb-file-per-table=OFF', '--innodb-data-file-path=ibdata1:12M;ibdata2:20M']
const subjects: Record<string, Subject> = {
  PostgreSQL: {
    async start() {
      const server = await startPostgres('max_connections=12')
      return Object.assign(server, { fill: () => server.limitFiles(DISK_BYTES), makeRoom: () => server.limitFiles(undefined) })
    },
    open: (url, timeoutMs) => createPostgresStore({ url, timeoutMs }),
    async occupy(connectionString) {
      const client = new Client({ connectionString })
      client.on('error', () => {})
      await client.connect()
      return () => void client.end()
    },
  },
  MariaDB: { start: async () => Object.assign(await startMariadb('--max-connections=12', ...SMALL), { fill: () => {} }), open: openMysql, occupy: occupyMysql },
  MySQL: { start: () => startMysql('--max-connections=12'), open: openMysql, occupy: occupyMysql },
}

describe.each(Object.entries(subjects))('%s', (name, subject) => {
  let server: SqlServer
  beforeAll(async () => { server = await subject.start() })
  afterAll(() => server[Symbol.asyncDispose]())
  const opened: SessionStore[] = []
  afterEach(() => Promise.all(opened.splice(0).map((store) => store.close())))

  function open(timeoutMs = TIMEOUT_MS): SessionStore {
    const store = guardStore(subject.open(server.url, timeoutMs), { timeoutMs })
    opened.push(store)
    return store
  }
  const serves = (store: SessionStore) => waitFor(() => store.ping().then(() => true, () => false), 'store that serves', RECOVERY_MS)
  const expectKept = (tallies: readonly Tally[]) => {
    for (const { slowestMs, lost, gone } of tallies) {
      expect({ lost, gone }).toEqual({ lost: 0, gone: false })
      expect(slowestMs).toBeLessThan(ANSWER_MS)
    }
  }

  test('killed and restarted under load: every call is answered in time, nothing acknowledged is lost', async () => {
    const store = open()
    await waitFor(() => store.ping().then(() => true, () => false), 'store that serves')
    const load = await startCountingLoad(store, Array.from({ length: 6 }, () => randomUUID()))
    for (let round = 0; round < 2; round++) {
      await load.round()
      await server.kill()
      await load.round()
      await server.restart()
      await serves(store)
      await load.round()
    }
    const tallies = await load.stop()
    expectKept(tallies)
    expect(tallies.some(({ failures }) => failures.length > 0)).toBe(true)
    expect(tallies.every(({ acknowledged }) => acknowledged > 0)).toBe(true)
    expect(await lostIn(store, tallies)).toEqual([])
  })

  test('stopped under load: every call is answered in time, and what it does afterwards is known or safe', async () => {
    const store = open()
    await serves(store)
    const load = await startCountingLoad(store, Array.from({ length: 6 }, () => randomUUID()))
    await load.round()
    server.pause()
    try {
      await load.round()
    } finally {
      server.resume()
    }
    await serves(store)
    await load.round()
    const tallies = await load.stop()
    expectKept(tallies)
    expect(await lostIn(store, tallies)).toEqual([])
  })

  test('without a connection left: named, in time; with one again it serves', async () => {
    const occupied: (() => void)[] = []
    try {
      for (;;) occupied.push(await subject.occupy(server.url))
    } catch (error) {
      expect(String(error)).toMatch(/too many|already/i)
    }
    const store = open()
    try {
      const elapsed = startStopwatch()
      await expect(store.load('a')).rejects.toThrow(/no connection left/)
      expect(elapsed()).toBeLessThan(ANSWER_MS)
    } finally {
      for (const end of occupied) end()
    }
    await serves(store)
  })

  test.runIf(name !== 'MySQL')('with a full disk: writes are refused by name, reads are served, and with room again it takes writes', async () => {
    const store = open(5_000)
    await serves(store)
    const version = versionOf(await store.create('before', Buffer.from('x'), inAnHour()))
    const write = () => store.create(randomUUID(), randomBytes(1_000_000), inAnHour()).then(() => undefined, String)
    let refused: string | undefined
    server.fill?.()
    try {
      for (let index = 0; !refused && index < 60; index++) refused = await write()
      expect(refused).toMatch(/full|File too large/)
      for (let round = 0; round < 6; round++) await write()
      expect((await store.load('before'))?.version).toBe(version)    // the circuit is closed: it did answer
    } finally {
      server.makeRoom?.()
    }
    if (server.makeRoom) await waitFor(async () => await write() === undefined, 'write that is taken', RECOVERY_MS)
    expect((await store.load('before'))?.version).toBe(version)
  })
})
