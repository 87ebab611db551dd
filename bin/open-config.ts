import { access } from 'node:fs/promises'
import { loadConfig, type ConfigSource, type LoadedConfig } from '../src/config/load.ts'
import type { ConfigArguments } from './arguments.ts'
import { UsageError } from './errors.ts'

/** Where a configuration is looked for when none is named. */
export const DEFAULT_FILES: readonly string[] = ['sessiongate.yaml', '/etc/sessiongate/sessiongate.yaml']

export interface OpenedConfig {
  readonly loaded: LoadedConfig
  /** What it was read from, in words. */
  readonly origin: string
  /** Reads it again. */
  reload(): Promise<LoadedConfig>
}

/** Finds and loads the configuration the arguments mean. Rejects with UsageError or ConfigInvalidError. */
export async function openConfig(args: ConfigArguments, env: NodeJS.ProcessEnv = process.env): Promise<OpenedConfig> {
  if (args.upstream.length > 0) return openQuickStart(args, env)
  const file = await chosenFile(args, env)
  const source: ConfigSource = { file, flags: args.flags, env }
  return { loaded: await loadConfig(source), origin: file ?? 'the command line', reload: () => loadConfig(source) }
}

async function openQuickStart(args: ConfigArguments, env: NodeJS.ProcessEnv): Promise<OpenedConfig> {
  if (args.config !== undefined) throw new UsageError('give --config or --upstream, not both: --upstream is a start without a file')
  const { quickStart } = await import('../src/config/quick-start.ts')
  const { source, warnings } = await quickStart(args.upstream, env)
  const reload = (): Promise<LoadedConfig> => loadConfig({ ...source, flags: args.flags })
  const loaded = await reload()
  return { loaded: { ...loaded, warnings: [...warnings, ...loaded.warnings] }, origin: '--upstream', reload }
}

async function chosenFile({ config, flags }: ConfigArguments, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const named = config ?? env['SESSIONGATE_CONFIG']
  if (named) return named
  for (const file of DEFAULT_FILES) {
    if (await access(file).then(() => true, () => false)) return file
  }
  if (Object.keys(flags).some((flag) => flag.startsWith('upstreams.'))) return undefined
  throw new UsageError([
    `there is no configuration: neither --config nor SESSIONGATE_CONFIG, no ${DEFAULT_FILES.join(', no ')}`,
    '  To try it on an app that runs already:   sessiongate --upstream http://127.0.0.1:5000',
    '  To make a configuration:                 sessiongate init',
  ].join('\n'))
}
