import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { seat } from '../../bench/cores.ts'
import { startMariadb } from '../support/servers/mariadb.ts'
import { startMemcached } from '../support/servers/memcached.ts'
import { startMongodb } from '../support/servers/mongodb.ts'
import { startPostgres } from '../support/servers/postgres.ts'
import { serverDirectory } from '../support/servers/process.ts'

/**
 * `npm run bench:stores`: reading and writing a session on every store, against the same gateway without session and bare http-proxy.
 * Starts the servers of the tests; flags go to the benchmark.
 */
seat(process.pid, 'beside')                                         // the servers inherit it
const [memcached, mongodb, postgres, mariadb] = await Promise.all([startMemcached(), startMongodb(), startPostgres(), startMariadb()])
seat(process.pid, 'any')
const stores = [
  { kind: 'memcached', servers: [`127.0.0.1:${memcached.port}`] },
  { kind: 'sqlite', path: `${serverDirectory()}/sessions.sqlite` },
  { kind: 'postgres', url: postgres.url },
  { kind: 'mysql', url: mariadb.url },
  { kind: 'mongodb', url: mongodb.url },
]
const rows = ['http-proxy', 'gate-none', ...['memory', 'file', 'redis'].flatMap((store) => [`gate-${store}-read`, `gate-${store}-write`])]
const bench = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url))
const flags = [...stores.flatMap((store) => ['--store', JSON.stringify(store)]), '--only', rows.join(','), '--json', 'bench/results/stores.json', '--svg', 'bench/results/stores.svg']
const { status } = spawnSync(process.execPath, [bench, ...flags, ...process.argv.slice(2)], { stdio: 'inherit' })
process.exit(status ?? 1)
