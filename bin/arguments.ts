import { canBeOff, isFlagPath, isSwitch, type Flags } from '../src/config/flags.ts'
import { UsageError } from './errors.ts'

/** A command line with the configuration's own flags (`--session.idle 20m`) taken off. */
export interface TakenFlags {
  readonly flags: Flags
  /** Everything else, in order: the command and its options. */
  readonly rest: readonly string[]
}

/** What every command that needs the configuration is told about it. */
export interface ConfigArguments {
  readonly config: string | undefined
  readonly upstream: readonly string[]
  readonly flags: Flags
}

/**
 * Takes `--PATH VALUE`, `--PATH=VALUE`, `--SWITCH`, `--no-PATH` off for every PATH the configuration has. A repeated flag makes a list.
 * Throws UsageError where a value is missing.
 */
export function takeConfigFlags(argv: readonly string[]): TakenFlags {
  const flags = new Map<string, unknown>()
  const rest: string[] = []
  for (let index = 0; index < argv.length; index++) {
    const token = argv[index] ?? ''
    if (token === '--') {
      rest.push(...argv.slice(index))
      break
    }
    const [, name = '', inline] = /^--([A-Za-z][A-Za-z0-9_.-]*)(?:=(.*))?$/s.exec(token) ?? []
    if (name.startsWith('no-') && inline === undefined && canBeOff(name.slice(3))) {
      flags.set(name.slice(3), 'false')
    } else if (!isFlagPath(name)) {
      rest.push(token)
    } else if (inline !== undefined) {
      addFlag(flags, name, inline)
    } else {
      const next = argv[index + 1]
      const isValue = isSwitch(name) ? next === 'true' || next === 'false' : next !== undefined && !next.startsWith('--')
      if (!isValue && !isSwitch(name)) throw new UsageError(`--${name} needs a value`)
      addFlag(flags, name, isValue ? next : 'true')
      if (isValue) index++
    }
  }
  return { flags: Object.fromEntries(flags), rest }
}

function addFlag(flags: Map<string, unknown>, name: string, value: unknown): void {
  const earlier = flags.get(name)
  flags.set(name, earlier === undefined ? value : [earlier, value].flat())
}

/** The arguments of `serve`, when the command line is nothing else; undefined leaves it to the full parser (help, mistakes). */
export function asServe({ flags, rest }: TakenFlags): ConfigArguments | undefined {
  const upstream: string[] = []
  let config: string | undefined
  for (let index = 0; index < rest.length; index++) {
    const token = rest[index] ?? ''
    if (token === 'serve' && index === 0) continue
    const [, name, inline] = /^(-c|--config|--upstream)(?:=(.*))?$/s.exec(token) ?? []
    const value = inline ?? rest[++index]
    if (name === undefined || !value || value.startsWith('-')) return undefined
    if (name === '--upstream') upstream.push(value)
    else if (config === undefined) config = value
    else return undefined
  }
  return { config, upstream, flags }
}
