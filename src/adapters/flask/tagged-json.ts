import { printJson } from './json-printer.ts'
import { httpDateOfIso, isoOfHttpDate } from './python-datetime.ts'
import { canonicalNumber, floatText } from './python-number.ts'
import { isDict, isList, NumberText } from './python-value.ts'
import type { JsonNode, PyObject, PyValue } from './python-value.ts'

/** The tags every Flask knows (flask/json/tag.py): dict, tuple, bytes, Markup, UUID, datetime. */
export const FLASK_TAGS: ReadonlySet<string> = new Set([' di', ' t', ' b', ' m', ' u', ' d'])

/** What a value under one of Flask's tags is, when it is not what Flask itself writes there. */
export type ForeignTags =
  /** Refuse it: Flask may raise on it, and answer 500. */
  | 'refuse'
  /** Carry it: the app may have put its own class behind that tag. */
  | 'carry'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const HEX32 = /^[0-9a-f]{32}$/

/**
 * The Python value of a tagged JSON value. An object of exactly one member named by a tag is tagged; all others, those with
 * tags only the app knows included, are plain data. Undefined only with `refuse`.
 */
export function untag(node: JsonNode, foreign: ForeignTags = 'carry'): PyValue | undefined {
  if (isList(node)) return untagAll(node, foreign)
  if (!isDict(node)) return node
  const [only] = node.size === 1 ? node.keys() : []
  if (only === undefined || !FLASK_TAGS.has(only)) return untagMembers(node, foreign)
  const value = untagOne(only, node.get(only) as JsonNode, foreign)
  return value === undefined && foreign === 'carry' ? { kind: 'opaque', node } : value
}

/**
 * The tagged JSON of a Python value, as Flask writes it. What Flask itself cannot carry becomes the nearest it can: a set a list,
 * a timedelta its seconds, a key that is not text its JSON text, a datetime whole seconds of UTC.
 */
export function tag(value: PyValue): JsonNode {
  if (value === null || typeof value !== 'object' || value instanceof NumberText) return value
  if (isList(value)) return value.map(tag)
  if (isDict(value)) return tagDict(value)
  if (value instanceof Uint8Array) return new Map([[' b', Buffer.from(value).toString('base64')]])
  return tagObject(value)
}

function untagAll(nodes: readonly JsonNode[], foreign: ForeignTags): readonly PyValue[] | undefined {
  const items = nodes.map((node) => untag(node, foreign))
  return items.includes(undefined) ? undefined : (items as PyValue[])
}

function untagMembers(node: ReadonlyMap<string, JsonNode>, foreign: ForeignTags): ReadonlyMap<string, PyValue> | undefined {
  const dict = new Map<string, PyValue>()
  for (const [name, member] of node) {
    const value = untag(member, foreign)
    if (value === undefined) return undefined
    dict.set(name, value)
  }
  return dict
}

function untagOne(name: string, content: JsonNode, foreign: ForeignTags): PyValue | undefined {
  if (name === ' di') return untagDict(content, foreign)
  if (name === ' t') {
    const items = isList(content) ? untagAll(content, foreign) : undefined
    return items && { kind: 'tuple', items }
  }
  if (typeof content !== 'string') return undefined
  if (name === ' b') return BASE64.test(content) ? new Uint8Array(Buffer.from(content, 'base64')) : undefined
  if (name === ' m') return { kind: 'markup', text: content }
  if (name === ' u') return HEX32.test(content) ? { kind: 'uuid', hex: content } : undefined
  const iso = isoOfHttpDate(content)
  return iso === undefined ? undefined : { kind: 'datetime', iso }
}

/** The escape for a dict of one key that is a tag. A tag only the app knows stays inside it, so that it is not taken for one. */
function untagDict(content: JsonNode, foreign: ForeignTags): PyValue | undefined {
  const [entry] = isDict(content) && content.size === 1 ? content : []
  if (!entry?.[0].endsWith('__')) return undefined
  const name = entry[0].slice(0, -2)
  const value = untag(entry[1], foreign)
  if (value === undefined) return undefined
  return FLASK_TAGS.has(name) ? new Map([[name, value]]) : { kind: 'opaque', node: new Map([[' di', content]]) }
}

function tagDict(dict: ReadonlyMap<string, PyValue>): JsonNode {
  const [only] = dict.size === 1 ? dict.keys() : []
  if (only === undefined || !FLASK_TAGS.has(only)) return new Map([...dict].map(([name, value]) => [name, tag(value)]))
  return new Map([[' di', new Map([[`${only}__`, tag(dict.get(only) as PyValue)]])]])
}

function tagObject(value: PyObject): JsonNode {
  switch (value.kind) {
    case 'tuple': return new Map([[' t', value.items.map(tag)]])
    case 'set': return value.items.map(tag)
    case 'map': return tagDict(new Map(value.entries.map(([key, item]) => [keyText(key), item])))
    case 'markup': return new Map([[' m', value.text]])
    case 'uuid': return new Map([[' u', value.hex]])
    case 'datetime': {
      const date = httpDateOfIso(value.iso)
      return date === undefined ? value.iso : new Map([[' d', date]])
    }
    case 'timedelta': return new NumberText(floatText(value.days * 86_400 + value.seconds + value.microseconds / 1e6))
    case 'opaque': return value.node
  }
}

/** A dict key as `json.dumps` writes it. */
export function keyText(key: PyValue): string {
  if (typeof key === 'string') return key
  return printJson(tag(key), { number: canonicalNumber })
}
