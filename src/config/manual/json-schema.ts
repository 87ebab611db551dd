import { z } from 'zod'
import { configShape } from '../schema.ts'

/** The parts of JSON Schema (draft 2020-12) that zod writes for our schema. */
export interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly pattern?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly additionalProperties?: JsonSchema | boolean
  readonly propertyNames?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** What may be written, as JSON Schema; defaults and descriptions included. */
export function inputSchema(): JsonSchema {
  const schema = z.toJSONSchema(configShape, { io: 'input' }) as JsonSchema & { $schema?: string }
  delete schema.$schema
  return schema
}

/** What editors complete and check a configuration with: the input schema, where any single value may also be a `${VARIABLE}`. */
export function configJsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'sessiongate configuration',
    ...withVariables(inputSchema()),
    $defs: { variable: { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}', description: 'An environment variable: ${NAME} or ${NAME:-default}' } },
  }
}

function withVariables(schema: JsonSchema): JsonSchema {
  const nested: JsonSchema = {
    ...schema,
    ...(schema.properties && { properties: Object.fromEntries(Object.entries(schema.properties).map(([name, value]) => [name, withVariables(value)])) }),
    ...(schema.items && { items: withVariables(schema.items) }),
    ...(typeof schema.additionalProperties === 'object' && { additionalProperties: withVariables(schema.additionalProperties) }),
    ...(schema.oneOf && { oneOf: schema.oneOf.map(withVariables) }),
    ...(schema.anyOf && { anyOf: [...schema.anyOf.map(withVariables)] }),
  }
  if (!isRestricted(schema)) return nested
  const { description, default: fallback, ...rule } = nested
  return { ...(description !== undefined && { description }), ...(fallback !== undefined && { default: fallback }), anyOf: [rule, { $ref: '#/$defs/variable' } as JsonSchema] }
}

/** Whether a variable would not pass: everything single but free text. A `const` stays as it is: it tells the branches apart. */
function isRestricted({ type, pattern, enum: values, const: only }: JsonSchema): boolean {
  if (only !== undefined) return false
  return type === 'integer' || type === 'number' || type === 'boolean' || pattern !== undefined || values !== undefined
}
