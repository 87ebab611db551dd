import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { migrateFlaskSessions, type MigrationSummary } from '../../src/migrate/migrate-flask-session.ts'
import { openMongodbSource } from '../../src/migrate/mongodb-source.ts'
import { openSqlSource } from '../../src/migrate/sql-source.ts'
import type { MigrationSource } from '../../src/migrate/source.ts'
import { createPlainCodec } from '../../src/session/codec.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { runCliBatch } from '../support/cli.ts'
import { minimalWith } from '../support/config-samples.ts'
import { startMariadb, startMongodb, startPostgres } from '../support/servers.ts'
import type { MariadbServer, MongodbServer, PostgresServer } from '../support/servers.ts'
import { startWorld } from '../support/world.ts'
import { missing, output, PYTHON, PYTHON_CURRENT } from './adapters/toolchains.ts'

const WRITER = join(import.meta.dirname, 'flask-session/write_sessions.py')
const PACKAGES = 'flask_session, flask_sqlalchemy, psycopg2, pymysql, pymongo'
const directory = mkdtempSync(join(tmpdir(), 'migrate-databases-'))
afterAll(() => rmSync(directory, { recursive: true }))

let postgres: PostgresServer
let mariadb: MariadbServer
let mongodb: MongodbServer
beforeAll(async () => { [postgres, mariadb, mongodb] = await Promise.all([startPostgres(), startMariadb(), startMongodb()]) }, 60_000)
afterAll(() => Promise.all([postgres, mariadb, mongodb].map((server) => server[Symbol.asyncDispose]())))

async function migrateInto(store: SessionStore, source: MigrationSource, isDryRun: boolean): Promise<MigrationSummary> {
  try {
    return await migrateFlaskSessions(source, {
      store, codec: createPlainCodec(), policy: { idleMs: 1_800_000, absoluteMs: 86_400_000, permanent: false, refreshEachRequest: true, touchIntervalMs: 60_000 },
      handleSecret: 'handle', limits: { maxBytes: 16_384, maxDepth: 16, maxMembers: 1_000 }, clock: systemClock, isDryRun, onRecord: () => undefined,
    })
  } finally {
    await source.close()
  }
}

interface Kind {
  readonly type: 'sqlalchemy' | 'mongodb'
  /** As the app has it in its configuration. */
  url(name: string): string
  open(name: string): Promise<MigrationSource>
  /** Runs a statement about the table, where a test has to spoil something. */
  readonly run?: (sql: string) => Promise<unknown>
}

const sqlKind = (url: (name: string) => string, run?: (sql: string) => Promise<unknown>): Kind => ({
  type: 'sqlalchemy', url, open: (name) => openSqlSource(url(name), `sessions_of_${name}`, 'app:'), ...(run && { run }),
})
const kinds: Record<string, Kind> = {
  PostgreSQL: sqlKind(() => postgres.url.replace('postgres:', 'postgresql+psycopg2:'), (sql) => postgres.query(sql)),
  MariaDB: sqlKind(() => mariadb.url.replace('mysql:', 'mysql+pymysql:'), (sql) => mariadb.query(sql.replace('sessions_of', 'sessions.sessions_of'))),
  SQLite: sqlKind((name) => `sqlite:///${join(directory, `${name}.db`)}`),
  MongoDB: { type: 'mongodb', url: () => mongodb.url, open: (name) => openMongodbSource(`${mongodb.url}/app_${name}`, `sessions_of_${name}`, 'app:') },
}

describe.each([
  { name: 'Flask-Session 0.3 of Debian', id: 'old', python: PYTHON, install: 'apt-get install -y python3-flask-session python3-flask-sqlalchemy python3-psycopg2 python3-pymysql python3-pymongo' },
  { name: 'Flask-Session 0.8', id: 'new', python: PYTHON_CURRENT, install: 'npm test, which brings it by pip' },
])('$name', ({ name: flavour, id, python, install }) => {
  let reason: string | undefined
  let cookies: Readonly<Record<string, Record<string, string>>> = {}

  beforeAll(async () => {
    reason = await missing({ name: flavour, probe: [python, '-c', `import ${PACKAGES}`], install })
    if (reason !== undefined) return
    const jobs = Object.values(kinds).map((kind) => ({
      type: kind.type, url: kind.url(id),
      options: { SESSION_KEY_PREFIX: 'app:', ...(kind.type === 'mongodb' ? { SESSION_MONGODB_DB: `app_${id}`, SESSION_MONGODB_COLLECT: `sessions_of_${id}` } : { SESSION_SQLALCHEMY_TABLE: `sessions_of_${id}` }) },
    }))
    const written = JSON.parse(await output([python, WRITER, JSON.stringify(jobs)])) as Record<string, string>[]
    cookies = Object.fromEntries(Object.keys(kinds).map((kind, i) => [kind, written[i] ?? {}]))
  }, 60_000)

  test.for(Object.keys(kinds))('%s: a dry run, the migration, the same again; each visitor is found by the cookie they still have', { timeout: 30_000 }, async (name, { skip }) => {
    skip(reason !== undefined, reason)
    const kind = kinds[name]!
    const theirs = cookies[name]!
    const spoiled = kind.run ? 'bob' : ''
    if (kind.run) {
      await kind.run(`UPDATE sessions_of_${id} SET expiry = '2020-01-01 00:00:00' WHERE session_id = 'app:${theirs['bob']?.slice('session='.length)}'`)
      await kind.run(`INSERT INTO sessions_of_${id} (id, session_id, data, expiry) VALUES (900, 'other:1', 'x', NULL), (901, 'app:broken', 'x', '2090-01-01 00:00:00'), (902, 'app:never', '{"a":1}', NULL)`)
    }
    const expected = { migrated: kind.run ? 2 : 3, there: 0, empty: 0, expired: kind.run ? 2 : 0, large: 0, unreadable: kind.run ? 1 : 0 }

    const store = createMemoryStore()
    expect(await migrateInto(store, await kind.open(id), true)).toEqual(expected)
    expect((await store.scan!(undefined, 100)).records).toEqual([])
    expect(await migrateInto(store, await kind.open(id), false)).toEqual(expected)
    expect(await migrateInto(store, await kind.open(id), false)).toEqual({ ...expected, migrated: 0, there: expected.migrated })
    const twoHours = systemClock() + 7_200_000
    for (const [, { expiresAt }] of (await store.scan!(undefined, 100)).records) expect(Math.abs(expiresAt - twoHours)).toBeLessThan(60_000)

    await using world = await startWorld({ store, routes: [{ migrated: { from: 'flask-session' } }] })
    for (const [user, cookie] of Object.entries(theirs)) {
      await world.newClient().get('/', { headers: { cookie } })
      expect(world.lastClaims()).toMatchObject(user === spoiled ? { new: true } : { new: false, permanent: true, data: { user, cart: [1, { two: 2.5 }] } })
    }
  })
})

test('a table of many pages is read whole, in a schema too', async () => {
  await postgres.query('CREATE SCHEMA web')
  await postgres.query('CREATE TABLE web.sessions (session_id varchar(255) PRIMARY KEY, data bytea, expiry timestamp)')
  await postgres.query(`INSERT INTO web.sessions SELECT 'session:' || n, convert_to('{"n":' || n || '}', 'UTF8'), '2090-01-01' FROM generate_series(1, 1203) n`)
  const source = await openSqlSource(postgres.url, 'web.sessions', 'session:')
  expect(source.total).toBe(1_203)
  expect(await migrateInto(createMemoryStore(), source, false)).toMatchObject({ migrated: 1_203 })
})

test('the command: what it found, and what is wrong when a database cannot be read', async () => {
  await postgres.query('CREATE TABLE sessions (session_id varchar(255) PRIMARY KEY, data bytea, expiry timestamp)')
  await postgres.query(`INSERT INTO sessions VALUES ('session:one', '{"n":1}', '2090-01-01')`)
  await mongodb.query((client) => client.db('flask_session').collection('kept').insertOne({ id: 'session:one', val: Buffer.from('{"n":1}'), expiration: null }))
  writeFileSync(join(directory, 'gate.yaml'), stringify(minimalWith({ store: { kind: 'file', path: join(directory, 'store') } })), { mode: 0o600 })
  const command = ['migrate', '-c', 'gate.yaml', '--from', 'flask-session', '--source']
  const [sql, mongo, noTable, noServer, noFile, noMongo, noName] = await runCliBatch([
    [...command, postgres.url], [...command, mongodb.url, '--table', 'kept'],
    [...command, postgres.url, '--table', 'nowhere'], [...command, 'mysql://127.0.0.1:1/app'], [...command, `sqlite:///${join(directory, 'missing.db')}`],
    [...command, 'mongodb://127.0.0.1:1/app'], [...command, postgres.url, '--table', 'x; DROP TABLE y'],
  ], { cwd: directory })
  expect(sql).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^ +1 +migrated\n/) })
  expect(mongo).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^ +0 +migrated\n +1 +there already\n/) })
  expect(noTable).toMatchObject({ code: 1, stderr: expect.stringMatching(/^sessiongate: the database to migrate from cannot be read: .*nowhere/) })
  expect(noServer).toMatchObject({ code: 1, stderr: expect.stringMatching(/^sessiongate: the database to migrate from cannot be read: .*ECONNREFUSED/) })
  expect(noFile).toMatchObject({ code: 1, stderr: expect.stringMatching(/^sessiongate: the database to migrate from cannot be read: ./) })
  expect(noMongo).toMatchObject({ code: 1, stderr: expect.stringMatching(/^sessiongate: the MongoDB to migrate from cannot be read: .*ECONNREFUSED/) })
  expect(noName).toMatchObject({ code: 64, stderr: expect.stringMatching(/--table/) })
}, 30_000)
