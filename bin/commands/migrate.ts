import { systemClock } from '../../src/clock.ts'
import { sessionPartsOf } from '../../src/gateway/session-parts.ts'
import { migrateFlaskSessions, type MigrationSummary } from '../../src/migrate/migrate-flask-session.ts'
import { SourceError, type MigrationSource } from '../../src/migrate/source.ts'
import { openStore } from '../../src/stores/open-store.ts'
import type { ConfigArguments } from '../arguments.ts'
import { CommandError, UsageError } from '../errors.ts'
import { openConfig } from '../open-config.ts'
import { openProgress } from '../progress.ts'
import { textTable } from '../text-table.ts'

export interface MigrateOptions {
  /** redis://, rediss://, unix://, a database as SQLAlchemy names it, mongodb://, or a directory. */
  readonly source: string
  /** Where the source is a database: its table or collection. */
  readonly table: string
  readonly keyPrefix: string
  readonly dryRun: boolean
}

/** Shown one by one at most. */
const MAX_REASONS = 10

/** Copies the sessions of a Flask-Session app into the configured store, and says which route configuration finds them. */
export async function runMigrate(args: ConfigArguments, options: MigrateOptions): Promise<number> {
  try {
    return await migrate(args, options)
  } catch (error) {
    throw error instanceof SourceError ? new CommandError(error.message) : error
  }
}

async function migrate(args: ConfigArguments, options: MigrateOptions): Promise<number> {
  const { keyPrefix, dryRun } = options
  const { loaded: { config } } = await openConfig(args)
  if (config.store.kind === 'memory') throw new CommandError('the configured store is memory: what is put there is gone when this command ends')
  if (config.store.kind === 'cookie') throw new CommandError('the configured store is cookie: only a visitor\'s own browser can put a session there; migrate into another store')
  if (config.store.kind === 'redis' && config.store.recordFormat) throw new CommandError('the configured store is shared with the app (store.recordFormat): its sessions are there already; migrate into a store of the gateway\'s own')
  const source = await openSource(options)
  const progress = openProgress(source.total)
  const reasons: string[] = []
  try {
    const store = await openStore(config.store, { clock: systemClock })
    try {
      await store.ping()
      const { codec, policy } = await sessionPartsOf(config, store, systemClock)
      const summary = await migrateFlaskSessions(source, {
        store, codec, policy, handleSecret: config.keys.cookie[0]?.secret ?? '', limits: config.session, clock: systemClock, isDryRun: dryRun,
        onRecord(_outcome, _name, reason) {
          progress.step()
          if (reason !== undefined && reasons.length < MAX_REASONS && !reasons.includes(reason)) reasons.push(reason)
        },
      })
      progress.end()
      process.stdout.write(summaryText(summary, reasons, dryRun, source, keyPrefix))
    } finally {
      await store.close()
    }
  } finally {
    progress.end()
    await source.close()
  }
  return 0
}

async function openSource({ source: from, keyPrefix, table }: MigrateOptions): Promise<MigrationSource> {
  if (/^(rediss?|unix):\/\//.test(from)) return (await import('../../src/migrate/redis-source.ts')).openRedisSource(from, keyPrefix, systemClock)
  if (/^mongodb(\+srv)?:\/\//.test(from)) return (await import('../../src/migrate/mongodb-source.ts')).openMongodbSource(from, table, keyPrefix)
  if (/^(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?:\/\//.test(from)) {
    const { isTableName, openSqlSource } = await import('../../src/migrate/sql-source.ts')
    if (!isTableName(table)) throw new UsageError('--table must be a plain SQL name, with a schema and a dot before it or not')
    return openSqlSource(from, table, keyPrefix)
  }
  if (/^[a-z0-9+]+:\/\//.test(from)) throw new UsageError('--source must be redis://, rediss://, unix://, postgresql://, mysql://, sqlite:///, mongodb:// or a directory')
  return (await import('../../src/migrate/file-source.ts')).openFileSource(from)
}

function summaryText(summary: MigrationSummary, reasons: readonly string[], dryRun: boolean, { by }: MigrationSource, keyPrefix: string): string {
  const rows = [
    [String(summary.migrated), dryRun ? 'would be migrated (dry run: nothing was written)' : 'migrated'],
    [String(summary.there), 'there already'],
    [String(summary.empty), 'empty'],
    [String(summary.expired), 'expired'],
    [String(summary.large), 'over session.maxBytes, maxDepth or maxMembers'],
    [String(summary.unreadable), 'unreadable, left alone'],
  ].filter(([count], at) => at === 0 || count !== '0')
  return [
    textTable(rows), ...reasons.map((reason) => `    ${reason}\n`),
    '\nThe route finds them, by the cookie visitors still have, with:\n',
    '  migrated: { ', ['from: flask-session', ...(by === 'sid' ? [] : [`by: ${by}`, `keyPrefix: ${JSON.stringify(keyPrefix)}`])].join(', '), ' }\n',
    '(and cookieName, secretKeyFile, where the app has set SESSION_COOKIE_NAME, SESSION_USE_SIGNER)\n',
  ].join('')
}
