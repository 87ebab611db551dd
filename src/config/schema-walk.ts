import { z } from 'zod'
import { type Path, valueAt } from './tree.ts'

export type Schema = z.core.$ZodType
type Def = z.core.$ZodTypes['_zod']['def']

function defOf(schema: Schema): Def {
  return (schema as z.core.$ZodTypes)._zod.def
}

/** The schema an operator's text is held to: defaults, optionality and transforms taken off. */
export function coreOf(schema: Schema): Schema {
  const def = defOf(schema)
  if ('innerType' in def) return coreOf(def.innerType)
  return def.type === 'pipe' ? coreOf(def.in) : schema
}

export function isOptional(schema: Schema): boolean {
  return accepts(schema, undefined)
}

/**
 * The schemas that may stand at `path`: several where a union has several branches there. With `tree`, a union that is told apart by
 * a member (`kind`, `alg`) is narrowed to the branch the tree chose. Empty when no key of that path exists.
 */
export function schemasAt(schema: Schema, path: Path, tree?: unknown): Schema[] {
  const [step, ...rest] = path
  if (step === undefined) return [schema]
  const below = valueAt(tree, [step])
  return branchesOf(schema, tree).flatMap((branch) => childrenOf(branch, step).flatMap((child) => schemasAt(child, rest, below)))
}

/** The names a map at this place may have; empty where it is no map, or where names are free. */
export function memberNames(schema: Schema, tree?: unknown): string[] {
  const names = branchesOf(schema, tree).flatMap((branch) => {
    const def = defOf(branch)
    return def.type === 'object' ? Object.keys(def.shape) : []
  })
  return [...new Set(names)]
}

function childrenOf(branch: Schema, step: string | number): Schema[] {
  const def = defOf(branch)
  if (def.type === 'object') return Object.hasOwn(def.shape, step) ? [def.shape[step] as Schema] : []
  if (def.type === 'array') return /^\d+$/.test(String(step)) ? [def.element] : []
  if (def.type === 'record') return accepts(def.keyType, String(step)) ? [def.valueType] : []
  return []
}

/** A schema's branches, unions opened. */
export function branchesOf(schema: Schema, tree?: unknown): Schema[] {
  const core = coreOf(schema)
  const def = defOf(core)
  if (def.type !== 'union') return [core]
  const branches = def.options.flatMap((option) => branchesOf(option, tree))
  const discriminator = 'discriminator' in def ? String(def.discriminator) : undefined
  const chosen = discriminator === undefined ? undefined : valueAt(tree, [discriminator])
  if (discriminator === undefined || chosen === undefined) return branches
  const fitting = branches.filter((branch) => childrenOf(branch, discriminator).some((child) => accepts(child, chosen)))
  return fitting.length > 0 ? fitting : branches
}

/**
 * Every path a value can be given at, from the top: `session.idle`, `upstreams.NAME.targets.N`. `visit` gets lists and maps too,
 * before what is in them; a path met in several branches is visited for each.
 */
export function walkSchema(schema: Schema, visit: (path: readonly string[], schema: Schema) => void, path: readonly string[] = []): void {
  visit(path, schema)
  for (const branch of branchesOf(schema)) {
    const def = defOf(branch)
    if (def.type === 'object') for (const [name, child] of Object.entries(def.shape)) walkSchema(child, visit, [...path, name])
    if (def.type === 'array') walkSchema(def.element, visit, [...path, 'N'])
    if (def.type === 'record') walkSchema(def.valueType, visit, [...path, 'NAME'])
  }
}

export function isListSchema(schema: Schema): boolean {
  return branchesOf(schema).some((branch) => defOf(branch).type === 'array')
}

/** Whether a value here is one word: neither a list nor a map. */
export function isScalarSchema(schema: Schema): boolean {
  return branchesOf(schema).some((branch) => !['object', 'array', 'record'].includes(defOf(branch).type))
}

export function accepts(schema: Schema, value: unknown): boolean {
  return z.safeParse(schema, value).success
}

const SAMPLES: readonly unknown[] = [
  'sample', 'none', 'http://127.0.0.1:1', '127.0.0.1:1', 'redis://127.0.0.1', 'mongodb://127.0.0.1', 'postgres://127.0.0.1', 'mysql://127.0.0.1',
  '/', '1s', '1KB', 'a-', 'Zq3vK9xT1mR7wB5nC8dF2gH4jL6pS0yU', 1, 64, 1_024, true, false, [], {},
]

/** Some value the schema accepts, to judge the rest of a file whose own value here is wrong; undefined when none is found. */
export function standInFor(schema: Schema): unknown {
  const fits = (value: unknown): boolean => accepts(schema, value)
  for (const branch of branchesOf(schema)) {
    const candidate = standInOf(branch)
    if (fits(candidate)) return candidate
  }
  return SAMPLES.find(fits)
}

function standInOf(branch: Schema): unknown {
  const def = defOf(branch)
  if (def.type === 'array') return [standInFor(def.element)]
  if (def.type === 'record') return { sample: standInFor(def.valueType) }
  if (def.type === 'literal') return def.values[0]
  if (def.type !== 'object') return SAMPLES.find((value) => accepts(branch, value))
  // A key that is optional by itself can be needed by its map: "give `secret` or `secretFile`".
  const members = Object.entries(def.shape)
    .filter(([name, child]) => !isOptional(child) || name === 'secret')
    .map(([name, child]) => [name, standInFor(child)] as const)
  return Object.fromEntries(members)
}

/** `text` as the schemas want it: a number or a boolean where they take one and the text is one, else the text. */
export function typedText(text: string, schemas: readonly Schema[]): unknown {
  const typed: unknown = text === 'true' ? true : text === 'false' ? false : /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
  if (typed === undefined) return text
  return schemas.some((schema) => accepts(schema, typed) || accepts(schema, [typed])) ? typed : text
}
