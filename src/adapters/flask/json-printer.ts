import { parseJson } from './lossless-json.ts'
import type { Members } from './lossless-json.ts'
import { canonicalNumber } from './python-number.ts'
import { isList, NumberText } from './python-value.ts'
import type { JsonNode } from './python-value.ts'

export interface PrintOptions {
  /** Order of object members: by code point, as Python's `sort_keys`, or as they are. Default true. */
  readonly sortKeys?: boolean
  /** Write every character above `~` as an escape, as Python's `ensure_ascii`. Default true. */
  readonly ascii?: boolean
  /** How a number is written. Default: its own text. */
  readonly number?: (text: string) => string
}

// eslint-disable-next-line no-control-regex
const ESCAPED_ASCII = /["\\\x00-\x1f\x7f-\uffff]/g
// eslint-disable-next-line no-control-regex
const ESCAPED_UTF8 = /["\\\x00-\x1f]/g
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t',
}

/** `node` as Python's `json.dumps(separators=(',', ':'), sort_keys=True)` writes it. Recursion is as deep as the value. */
export function printJson(node: JsonNode, options: PrintOptions = {}): string {
  if (node === null || typeof node === 'boolean') return String(node)
  if (typeof node === 'string') return printString(node, options.ascii)
  if (node instanceof NumberText) return options.number ? options.number(node.text) : node.text
  if (isList(node)) return `[${node.map((item) => printJson(item, options)).join(',')}]`
  return printMembers(new Map([...node].map(([name, value]) => [name, printJson(value, options)])), options)
}

/** An object of members that are JSON text already: those are written as they are. */
export function printMembers(members: Members, options: PrintOptions = {}): string {
  const names = [...members.keys()]
  if (options.sortKeys ?? true) names.sort(compareCodePoints)
  return `{${names.map((name) => `${printString(name, options.ascii)}:${members.get(name)}`).join(',')}}`
}

/** A JSON string, quotes included. DEL is escaped: Python's `ensure_ascii` keeps only ` ` to `~`. */
export function printString(text: string, ascii = true): string {
  return `"${text.replace(ascii ? ESCAPED_ASCII : ESCAPED_UTF8, escapeUnit)}"`
}

/**
 * What Python writes after having read `text`: equal for two texts exactly when the values are. Text that is no JSON stands for
 * itself.
 */
export function canonicalText(text: string): string {
  const node = parseJson(text)
  return node === undefined ? text : printJson(node, { number: canonicalNumber })
}

/** Order by Unicode code point, as Python compares text; JavaScript's own order is by UTF-16 unit. */
export function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  let at = 0
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at++
  if (at === length) return left.length - right.length
  const start = at > 0 && isHighSurrogate(left.charCodeAt(at - 1)) ? at - 1 : at
  const difference = (left.codePointAt(start) ?? 0) - (right.codePointAt(start) ?? 0)
  return difference || (left.codePointAt(at) ?? 0) - (right.codePointAt(at) ?? 0)
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

function escapeUnit(unit: string): string {
  return SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
