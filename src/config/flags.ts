import { resolve } from 'node:path'
import type { ConfigProblem } from '../errors.ts'
import { nearestName } from './nearest-name.ts'
import { accepts, isListSchema, isScalarSchema, type Schema, schemasAt, typedText, walkSchema } from './schema-walk.ts'
import { configShape } from './schema.ts'
import { FILE_MEMBERS } from './secret-files.ts'
import { isMembers, type Path, pathText, valueAt, withValue } from './tree.ts'

/** `store.url` -> what was given for it: text, a list of texts (a repeated flag), or an already typed value. */
export type Flags = Readonly<Record<string, unknown>>

export interface FlagsMerged {
  readonly tree: unknown
  readonly problems: readonly ConfigProblem[]
  /** Paths whose value a flag gave. */
  readonly paths: ReadonlySet<string>
}

/** The kind of a store can be read off its URL, so `--store.url redis://...` is enough. */
const KIND_OF_SCHEME: Readonly<Record<string, string>> = {
  redis: 'redis', rediss: 'redis', unix: 'redis', mongodb: 'mongodb', 'mongodb+srv': 'mongodb', postgres: 'postgres', postgresql: 'postgres', mysql: 'mysql',
}

/** What may follow `--`: any key that holds one value or a list of such, by its path. */
export function isFlagPath(name: string): boolean {
  return flagSchemas(name).some((schema) => isScalarSchema(schema) || isListOfScalars(schema))
}

/** Whether the flag is a switch: alone it means true. */
export function isSwitch(name: string): boolean {
  const schemas = flagSchemas(name)
  return schemas.length > 0 && schemas.every((schema) => accepts(schema, false) && accepts(schema, true))
}

/** Whether `--no-name` makes sense: a switch, or something that can be turned off. */
export function canBeOff(name: string): boolean {
  return flagSchemas(name).some((schema) => accepts(schema, false))
}

/** Every flag, `NAME` and `N` standing for a name and a position. */
export function flagNames(): string[] {
  const names = new Set<string>()
  walkSchema(configShape, (path, schema) => {
    if (path.length > 0 && path.at(-1) !== 'N' && (isScalarSchema(schema) || isListOfScalars(schema))) names.add(path.join('.'))
  })
  return [...names]
}

/** The flag `name` was probably meant to be. */
export function nearestFlag(name: string): string | undefined {
  const names = flagNames()
  const byLeaf = names.filter((known) => known.endsWith(`.${name}`))
  return byLeaf.length === 1 ? byLeaf[0] : nearestName(name, names)
}

/** Lays flags over the file. Relative paths in flags are the shell's: resolved against `workingDirectory`. */
export function mergeFlags(tree: unknown, flags: Flags, workingDirectory: string): FlagsMerged {
  const problems: ConfigProblem[] = []
  const paths = new Set<string>()
  let merged = withStoreKind(tree, flags)
  for (const [name, given] of Object.entries(flags)) {
    if (given === undefined) continue
    if (!isFlagPath(name)) {
      const near = nearestFlag(name)
      problems.push({ path: `--${name}`, message: `there is no such option${near ? `; did you mean --${near}?` : ''}` })
      continue
    }
    const path = pathOf(name)
    if (!canHold(merged, path)) {
      problems.push({ path: `--${name}`, message: 'the list has no item at this position; give the ones before it too' })
      continue
    }
    paths.add(pathText(path))
    merged = withValue(withoutTwin(merged, path), path, typedFlag(name, given, workingDirectory))
  }
  return { tree: merged, problems, paths }
}

/** A flag that changes the kind of store makes the file's keys of the other kind meaningless. */
function withStoreKind(tree: unknown, flags: Flags): unknown {
  const url = flags['store.url']
  const scheme = typeof url === 'string' ? /^([a-z+]+):/.exec(url)?.[1] : undefined
  const current = valueAt(tree, ['store', 'kind']) ?? 'file'
  const kind = flags['store.kind'] ?? (scheme === undefined ? undefined : KIND_OF_SCHEME[scheme])
  return kind === undefined || kind === current ? tree : withValue(tree, ['store'], { kind })
}

/** A flag for `secret` replaces the file's `secretFile`, and the reverse. */
function withoutTwin(tree: unknown, path: Path): unknown {
  const name = String(path.at(-1))
  const member = name.replace(/File$/, '')
  if (!FILE_MEMBERS.includes(member)) return tree
  return withValue(tree, [...path.slice(0, -1), name === member ? `${member}File` : member], undefined)
}

function pathOf(name: string): Path {
  return name.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step))
}

/** A position past the end of a list would leave a hole. */
function canHold(tree: unknown, path: Path): boolean {
  return path.every((step, index) => {
    if (typeof step !== 'number') return true
    const list = valueAt(tree, path.slice(0, index))
    return isMembers(list) || step <= (Array.isArray(list) ? list.length : 0)
  })
}

function typedFlag(name: string, given: unknown, workingDirectory: string): unknown {
  const schemas = flagSchemas(name)
  const typed = (value: unknown): unknown => {
    if (typeof value !== 'string') return value
    return isFilePath(name, value) ? resolve(workingDirectory, value) : typedText(value, schemas)
  }
  if (Array.isArray(given)) return given.map(typed)
  const value = typed(given)
  return schemas.some(isListSchema) && !schemas.some((schema) => isScalarSchema(schema)) ? [value] : value
}

/** Members that name a file on this machine. */
export function isFilePath(path: string, value: string): boolean {
  if (path === 'store.path') return true
  if (path === 'store.module') return /^\.{0,2}\//.test(value)
  return /File$/.test(path)
}

function flagSchemas(name: string): Schema[] {
  return /^[A-Za-z0-9_.-]+$/.test(name) ? schemasAt(configShape, pathOf(name)) : []
}

function isListOfScalars(schema: Schema): boolean {
  return isListSchema(schema) && schemasAt(schema, [0]).every(isScalarSchema)
}
