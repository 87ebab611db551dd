import type { Json, JsonObject } from '../../session/session.ts'
import { isJsonObject } from '../../session/session.ts'
import { printJson } from './json-printer.ts'
import { parseJson } from './lossless-json.ts'
import { instantOfIso } from './python-datetime.ts'
import { floatText, isIntegerText } from './python-number.ts'
import { isDict, isHashable, isList, NumberText } from './python-value.ts'
import type { PyObject, PyValue } from './python-value.ts'

/**
 * A Python value as plain JSON that any upstream understands, with nothing lost: what JSON has is itself; what it has not is an
 * object of one marker:
 *
 * `{"$tuple": [...]}` `{"$set": [...]}` `{"$bytes": base64}` `{"$markup": text}` `{"$uuid": "8-4-4-4-12"}` `{"$datetime": ISO 8601,
 * naive without a zone}` `{"$timedelta": [days, seconds, microseconds]}` `{"$int": digits}` past 2^53, `{"$float": text}` where
 * JavaScript would print another text (1.0, 1e+16, NaN), `{"$map": [[key, value], ...]}` with keys that are not text,
 * `{"$json": text}` for a tag only the app knows, and `{"$dict": {...}}` around a dict that looks like one of these.
 */
export function typedOf(value: PyValue): Json {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof NumberText) return typedNumber(value.text)
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (isList(value)) return value.map(typedOf)
  if (isDict(value)) return typedDict(value)
  return typedObject(value)
}

/** The reverse. Total: an object that is not exactly one of the forms above is a dict. */
export function valueOfTyped(json: Json): PyValue {
  if (json === null || typeof json === 'boolean' || typeof json === 'string') return json
  if (typeof json === 'number') return new NumberText(numberText(json))
  if (isList(json)) return json.map(valueOfTyped)
  if (!isJsonObject(json)) return null
  const [entry, ...others] = Object.entries(json)
  const marked = entry && others.length === 0 ? READERS.get(entry[0])?.(entry[1]) : undefined
  return marked === undefined ? dictOf(json) : marked
}

type MarkerReader = (content: Json) => PyValue | undefined

const READERS: ReadonlyMap<string, MarkerReader> = new Map<string, MarkerReader>([
  ['$tuple', (content) => (isList(content) ? { kind: 'tuple', items: content.map(valueOfTyped) } : undefined)],
  ['$set', (content) => (isList(content) ? { kind: 'set', items: content.map(valueOfTyped) } : undefined)],
  ['$map', (content) => {
    if (!isList(content)) return undefined
    const pairs = content.map(valueOfTyped)    // once: to read them again as a dict's would double the work with every level
    const isMap = pairs.every((pair) => isList(pair) && pair.length === 2 && isHashable(pair[0] as PyValue))
    return isMap ? { kind: 'map', entries: pairs as [PyValue, PyValue][] } : new Map([['$map', pairs]])
  }],
  ['$markup', (content) => (typeof content === 'string' ? { kind: 'markup', text: content } : undefined)],
  ['$bytes', textReader(/^[A-Za-z0-9+/]*={0,2}$/, (text) => new Uint8Array(Buffer.from(text, 'base64')))],
  ['$uuid', textReader(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, (text) => ({ kind: 'uuid', hex: text.replaceAll('-', '') }))],
  ['$datetime', textReader(/^/, (iso) => (instantOfIso(iso) ? { kind: 'datetime', iso } : undefined))],
  ['$int', textReader(/^-?(0|[1-9]\d{0,4299})$/, (text) => new NumberText(text))],
  ['$float', textReader(/^(-?(0|[1-9]\d*)(\.\d+([eE][-+]?\d+)?|[eE][-+]?\d+)|NaN|-?Infinity)$/, (text) => new NumberText(text))],
  ['$timedelta', (content) => {
    const [days, seconds, microseconds] = isList(content) && content.length === 3 && content.every(Number.isSafeInteger) ? (content as number[]) : []
    return days === undefined || seconds === undefined || microseconds === undefined ? undefined : { kind: 'timedelta', days, seconds, microseconds }
  }],
  ['$json', (content) => {
    const node = typeof content === 'string' ? parseJson(content) : undefined
    return node === undefined ? undefined : { kind: 'opaque', node }
  }],
  ['$dict', (content) => (isJsonObject(content) ? dictOf(content) : undefined)],
])

function textReader(pattern: RegExp, read: (text: string) => PyValue | undefined): MarkerReader {
  return (content) => (typeof content === 'string' && pattern.test(content) ? read(content) : undefined)
}

function dictOf(json: JsonObject): ReadonlyMap<string, PyValue> {
  return new Map(Object.entries(json).map(([name, value]) => [name, valueOfTyped(value)]))
}

function typedDict(dict: ReadonlyMap<string, PyValue>): JsonObject {
  const json: JsonObject = Object.fromEntries([...dict].map(([name, value]) => [name, typedOf(value)]))
  const [only] = dict.size === 1 ? dict.keys() : []
  return only !== undefined && READERS.has(only) ? { $dict: json } : json
}

function typedObject(value: PyObject): JsonObject {
  switch (value.kind) {
    case 'tuple': return { $tuple: value.items.map(typedOf) }
    case 'set': return { $set: value.items.map(typedOf) }
    case 'map': return { $map: value.entries.map(([key, item]) => [typedOf(key), typedOf(item)]) }
    case 'markup': return { $markup: value.text }
    case 'uuid': return { $uuid: value.hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') }
    case 'datetime': return { $datetime: value.iso }
    case 'timedelta': return { $timedelta: [value.days, value.seconds, value.microseconds] }
    case 'opaque': return { $json: printJson(value.node, { sortKeys: false }) }
  }
}

function typedNumber(text: string): Json {
  const number = Number(text)
  if (isIntegerText(text)) return Number.isSafeInteger(number) && String(number) === text ? number : { $int: text }
  return Number.isFinite(number) && !Number.isInteger(number) && floatText(number) === text ? number : { $float: text }
}

/** An integral JSON number is an int to Python; -0 is the float, since an int has no such value. */
function numberText(number: number): string {
  const isInt = Number.isInteger(number) && !Object.is(number, -0) && Math.abs(number) < 1e21
  return isInt ? BigInt(number).toString() : floatText(number)
}
