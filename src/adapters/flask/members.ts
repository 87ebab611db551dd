import type { Json, JsonObject } from '../../session/session.ts'
import { canonicalText, printJson } from './json-printer.ts'
import { parseJson } from './lossless-json.ts'
import type { Members } from './lossless-json.ts'
import type { PyValue } from './python-value.ts'
import { tag, untag } from './tagged-json.ts'
import { typedOf, valueOfTyped } from './typed-json.ts'

/** Tagged members as plain typed JSON (typed-json.ts). Text that is no JSON is carried as a string. */
export function typedOfMembers(members: Members): JsonObject {
  return Object.fromEntries([...members].map(([name, text]) => [name, typedOfText(text)]))
}

/**
 * Typed JSON as tagged members, each as Flask writes it. A member whose value `previous` has already keeps that text byte for
 * byte.
 */
export function membersOfTyped(data: JsonObject, previous: Members = new Map()): Members {
  return new Map(Object.entries(data).map(([name, json]) => {
    const text = textOfValue(valueOfTyped(json))
    const kept = previous.get(name)
    return [name, kept !== undefined && canonicalText(kept) === canonicalText(text) ? kept : text]
  }))
}

/** Python values as tagged members. */
export function membersOfValues(values: ReadonlyMap<string, PyValue>): Members {
  return new Map([...values].map(([name, value]) => [name, textOfValue(value)]))
}

/** Tagged members as Python values. */
export function valuesOfMembers(members: Members): ReadonlyMap<string, PyValue> {
  return new Map([...members].map(([name, text]) => [name, valueOfText(text)]))
}

function typedOfText(text: string): Json {
  return typedOf(valueOfText(text))
}

function valueOfText(text: string): PyValue {
  const node = parseJson(text)
  const value = node === undefined ? undefined : untag(node)
  return value === undefined ? text : value
}

function textOfValue(value: PyValue): string {
  return printJson(tag(value))
}
