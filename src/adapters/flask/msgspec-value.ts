import { printJson } from './json-printer.ts'
import { canonicalNumber, isIntegerText } from './python-number.ts'
import { isDict, isList, NumberText } from './python-value.ts'
import type { JsonNode, PyObject, PyValue } from './python-value.ts'
import { keyText } from './tagged-json.ts'

/** A value the format has no form for; becomes the `reason` of a result and never leaves this folder as an exception. */
export class Unwritable extends Error {}

/**
 * What msgspec writes for a class that MessagePack and JSON do not have: an array for tuple and set, text for UUID, Markup (which
 * msgspec itself refuses), datetime and timedelta (ISO 8601).
 */
export function plainOf(value: PyObject): PyValue {
  switch (value.kind) {
    case 'tuple': case 'set': return value.items
    case 'map': return new Map(value.entries.map(([key, item]) => [keyText(key), item]))
    case 'markup': return value.text
    case 'uuid': return value.hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    case 'datetime': return value.iso
    case 'timedelta': return durationText(value)
    case 'opaque': return value.node
  }
}

/** One value as msgspec's JSON: raw UTF-8, members in their order, bytes as base64, null for what JSON has no number for. */
export function writeMsgspecJson(value: PyValue): Uint8Array {
  const text = printJson(plainNode(value), { sortKeys: false, ascii: false, number: numberText })
  if (/\p{Surrogate}/u.test(text)) throw new Unwritable('a text has a lone surrogate')
  return Buffer.from(text, 'utf8')
}

function plainNode(value: PyValue): JsonNode {
  if (value === null || typeof value !== 'object' || value instanceof NumberText) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isList(value)) return value.map(plainNode)
  if (isDict(value)) return new Map([...value].map(([name, item]) => [name, plainNode(item)]))
  return plainNode(plainOf(value))
}

function numberText(text: string): string {
  return isIntegerText(text) || Number.isFinite(Number(text)) ? canonicalNumber(text) : 'null'
}

function durationText({ days, seconds, microseconds }: Extract<PyObject, { kind: 'timedelta' }>): string {
  const total = (BigInt(days) * 86_400n + BigInt(seconds)) * 1_000_000n + BigInt(microseconds)
  const size = total < 0n ? -total : total
  const [wholeDays, rest] = [size / 86_400_000_000n, size % 86_400_000_000n]
  const fraction = String(rest % 1_000_000n).padStart(6, '0').replace(/0+$/, '')
  const time = rest === 0n ? '' : `T${rest / 1_000_000n}${fraction && `.${fraction}`}S`
  return `${total < 0n ? '-' : ''}P${wholeDays === 0n && time ? '' : `${wholeDays}D`}${time}`
}
