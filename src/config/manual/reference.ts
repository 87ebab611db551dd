import type { JsonSchema } from './json-schema.ts'

/** One table of the manual: the keys of one map. */
export interface Section {
  /** `session.cookie`, `upstreams.NAME`, `routes.N`, `store (kind: redis)`. */
  readonly title: string
  readonly description: string | undefined
  readonly rows: readonly Row[]
}

export interface Row {
  readonly key: string
  readonly type: string
  readonly default: string
  readonly meaning: string
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** The schema as tables, one per map, in the order of the schema. */
export function sectionsOf(schema: JsonSchema, path = ''): Section[] {
  const rows: Row[] = []
  const below: Section[] = []
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const inner = mapsIn(property, path === '' ? name : `${path}.${name}`)
    rows.push(rowOf(name, property, schema.required?.includes(name) ?? false, inner.length > 0))
    for (const { title, map } of inner) below.push(...sectionsOf(map, title))
  }
  return [{ title: path, description: schema.description, rows }, ...below]
}

/** The maps a key leads to: itself, a list's items, a record's values, one for each branch of a union. */
function mapsIn(schema: JsonSchema, path: string): { title: string; map: JsonSchema }[] {
  if (schema.properties) return [{ title: path, map: schema }]
  if (schema.items) return mapsIn(schema.items, `${path}.N`)
  if (typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties) return [{ title: `${path}.NAME`, map: { description: schema.description ?? '', ...schema.additionalProperties } }]
  return (schema.oneOf ?? []).flatMap((branch) => mapsIn(branch, `${path} (${tellingOf(branch)})`))
}

/** `kind: redis`, `alg: EdDSA or ES256`. */
function tellingOf(branch: JsonSchema): string {
  const [name, property] = Object.entries(branch.properties ?? {}).find(([, { const: only, enum: values }]) => only !== undefined || values !== undefined) ?? []
  return `${name ?? ''}: ${property?.const === undefined ? (property?.enum ?? []).join(' or ') : text(property.const)}`
}

function rowOf(key: string, schema: JsonSchema, isRequired: boolean, isMap: boolean): Row {
  return { key, type: typeOf(schema), default: isRequired ? 'required' : defaultOf(schema, isMap), meaning: schema.description ?? '' }
}

function defaultOf({ default: value }: JsonSchema, isMap: boolean): string {
  if (value === undefined) return '-'
  if (isMap && typeof value === 'object' && JSON.stringify(value) === '{}') return 'see below'
  return `\`${typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '')}\``
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${text(schema.const)}\``
  if (schema.enum) return schema.enum.map((value) => `\`${text(value)}\``).join(' or ')
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ')
  if (schema.oneOf) return 'map'
  if (schema.items) return `list of ${pluralOf(typeOf(schema.items))}`
  if (schema.properties) return 'map'
  if (schema.type === 'object') return typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties ? 'maps by name' : 'any values by name'
  if (schema.type === 'integer') return `whole number${rangeOf(schema)}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.pattern?.includes('(ms|s|m|h|d)')) return 'duration'
  return schema.pattern?.includes('(B|KB|MB|GB)') ? 'size' : 'text'
}

function pluralOf(type: string): string {
  return type === 'map' ? 'maps' : type === 'text' ? 'texts' : type
}

function rangeOf({ minimum, maximum }: JsonSchema): string {
  if (minimum === undefined || minimum <= -NO_LIMIT) return ''
  return maximum === undefined || maximum >= NO_LIMIT ? `, at least ${minimum}` : `, ${minimum} to ${maximum}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
