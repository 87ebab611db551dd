import { readFile } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import type { StoreConfig } from '../config/store-schema.ts'
import { ConfigInvalidError } from '../errors.ts'
import type { StoreCall } from './guarded-store.ts'
import { guardStore } from './guarded-store.ts'
import type { SessionStore } from './store.ts'

export interface StoreContext {
  readonly clock: Clock
  /** Told of every call when it settles. */
  readonly onCall?: (call: StoreCall) => void
  /** Told of records that a backend with a bounded memory dropped to make room, since it was told last. */
  readonly onEvicted?: (count: number) => void
}

/**
 * Opens the configured store, guarded by its deadline, a circuit breaker and the observer. A networked backend need not answer yet:
 * `ping` tells. Rejects with ConfigInvalidError when the configuration cannot work, a missing driver or module included, and
 * with StoreUnavailableError when a local backend cannot be opened.
 */
export async function openStore(config: StoreConfig, context: StoreContext): Promise<SessionStore> {
  const timeoutMs = 'timeout' in config ? config.timeout : undefined
  return guardStore(await openBackend(config, context), { timeoutMs, onCall: context.onCall })
}

async function openBackend(config: StoreConfig, { clock, onEvicted }: StoreContext): Promise<SessionStore> {
  switch (config.kind) {
    case 'memory': {
      const { createMemoryStore } = await import('./memory.ts')
      return createMemoryStore({ maxEntries: config.maxEntries, clock })
    }
    case 'file': {
      const { createFileStore } = await withDriver('lmdb', () => import('./file.ts'))
      return createFileStore({ path: config.path, durability: config.durability, clock })
    }
    case 'redis': {
      const { sentinel, tls, recordFormat } = config
      const options = {
        url: config.url,
        username: config.username,
        password: await secretOf('store.passwordFile', config.password, config.passwordFile),
        keyPrefix: config.keyPrefix,
        timeoutMs: config.timeout,
        sentinel: sentinel && {
          name: sentinel.name,
          nodes: sentinel.nodes,
          username: sentinel.username,
          password: await secretOf('store.sentinel.passwordFile', sentinel.password, sentinel.passwordFile),
        },
        cluster: config.cluster,
        tls: tls && { ...await pemsOf(tls), ...(tls.servername === undefined ? {} : { servername: tls.servername }) },
        clock,
      }
      if (recordFormat) {
        const { createSharedRedisStore } = await withDriver('ioredis', () => import('./redis-shared.ts'))
        return createSharedRedisStore({ ...options, lifetimeMs: recordFormat.permanentLifetime })
      }
      const { createRedisStore } = await withDriver('ioredis', () => import('./redis.ts'))
      return createRedisStore(options)
    }
    case 'cookie': {
      const { createCookieStore } = await import('./cookie.ts')
      return createCookieStore()
    }
    case 'custom': {
      const { openCustomStore } = await import('./custom.ts')
      return openCustomStore(config.module, config.options, { clock })
    }
    case 'postgres': {
      const { createPostgresStore } = await withDriver('pg', () => import('./postgres.ts'))
      return createPostgresStore({ ...await serverOptions(config), ...sqlOptions(config, clock), schema: config.schema })
    }
    case 'mysql': {
      const { createMysqlStore } = await withDriver('mysql2', () => import('./mysql.ts'))
      return createMysqlStore({ ...await serverOptions(config), ...sqlOptions(config, clock) })
    }
    case 'sqlite': {
      const { createSqliteStore } = await withDriver('@photostructure/sqlite', () => import('./sqlite.ts'))
      return createSqliteStore({ path: config.path, ...sqlOptions(config, clock) })
    }
    case 'memcached': {
      const { createMemcachedStore } = await import('./memcached.ts')
      const { servers, keyPrefix, timeout } = config
      return createMemcachedStore({ servers, keyPrefix, timeoutMs: timeout, clock, ...(onEvicted && { onEvicted }) })
    }
    case 'mongodb': {
      const { createMongodbStore } = await withDriver('mongodb', () => import('./mongodb.ts'))
      const { url, database, collection, timeout } = config
      return createMongodbStore({ url, database, collection, timeoutMs: timeout, clock })
    }
  }
}

type SqlConfig = Extract<StoreConfig, { readonly kind: 'postgres' | 'mysql' | 'sqlite' }>
type SqlServerConfig = Extract<SqlConfig, { readonly url: string }>

function sqlOptions({ table, columns, migrate, sweepInterval, timeout }: SqlConfig, clock: Clock) {
  return { table, columns, migrate, sweepIntervalMs: sweepInterval, timeoutMs: timeout, clock }
}

async function serverOptions({ url, password, passwordFile, tls, connections }: SqlServerConfig) {
  if (!URL.canParse(url)) throw invalid('store.url', 'this connection string cannot be parsed')
  return { url, password: await secretOf('store.passwordFile', password, passwordFile), tls: tls && await pemsOf(tls), connections }
}

/** Imports a backend whose driver is an optional dependency. */
async function withDriver<T>(driver: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if (!isMissing(error, driver)) throw error
    throw invalid('store.kind', `this store needs the package "${driver}": run npm install ${driver}`)
  }
}

function isMissing(error: unknown, driver: string): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${driver}'`)
}

async function secretOf(path: string, value: string | undefined, file: string | undefined): Promise<string | undefined> {
  return value ?? (file === undefined ? undefined : (await read(path, file)).toString().replace(/\r?\n$/, ''))
}

async function pemsOf({ caFile, certFile, keyFile }: NonNullable<SqlServerConfig['tls']>) {
  return { ...await pem('ca', caFile), ...await pem('cert', certFile), ...await pem('key', keyFile) }
}

async function pem<Name extends 'ca' | 'cert' | 'key'>(name: Name, file: string | undefined): Promise<Partial<Record<Name, Buffer>>> {
  return file === undefined ? {} : { [name]: await read(`store.tls.${name}File`, file) } as Record<Name, Buffer>
}

async function read(path: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error))
  }
}

function invalid(path: string, message: string): ConfigInvalidError {
  return new ConfigInvalidError([{ path, message }])
}
