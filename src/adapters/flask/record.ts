import { parseJson } from './lossless-json.ts'
import { readMsgpack } from './msgpack-reader.ts'
import { writeMsgpack } from './msgpack-writer.ts'
import { Unwritable, writeMsgspecJson } from './msgspec-value.ts'
import { readPickle } from './pickle.ts'
import type { PickleLimits, ReadValue } from './pickle.ts'
import { isDict } from './python-value.ts'
import type { PyValue } from './python-value.ts'
import { decodeUtf8 } from './url-safe-body.ts'

/** How Flask-Session stores a session: pickle up to 0.5, msgpack (default) or JSON since 0.6. */
export type FlaskRecordFormat = 'pickle' | 'msgpack' | 'json'

export type ReadFlaskRecord =
  | { readonly ok: true; readonly format: FlaskRecordFormat; readonly values: ReadonlyMap<string, PyValue> }
  | { readonly ok: false; readonly reason: string }

export type WrittenFlaskRecord =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: string }

/**
 * Reads the value Flask-Session keeps for a session in Redis, memcached, MongoDB or SQL, whichever format it has. Nothing in it is
 * executed (pickle.ts). The reason of a refusal says what is wrong and never quotes session data. Total.
 */
export function readFlaskRecord(bytes: Uint8Array, limits: PickleLimits = {}): ReadFlaskRecord {
  const format = formatOf(bytes)
  if (!format) return { ok: false, reason: bytes.length === 0 ? 'it is empty' : 'it is neither pickle, JSON nor MessagePack' }
  const read = READERS[format](bytes, limits)
  if (!read.ok) return { ok: false, reason: `unreadable ${format}: ${read.reason}` }
  if (!isDict(read.value)) return { ok: false, reason: `unreadable ${format}: it is no dict with text keys` }
  return { ok: true, format, values: read.value }
}

/**
 * Writes a session for a Flask app that shares the store. There is no pickle writer: Flask-Session reads both of these formats
 * since 0.6. Types degrade as they do in Flask-Session itself (a tuple is read back as a list).
 */
export function writeFlaskRecord(values: ReadonlyMap<string, PyValue>, format: 'msgpack' | 'json'): WrittenFlaskRecord {
  try {
    return { ok: true, bytes: format === 'msgpack' ? writeMsgpack(values) : writeMsgspecJson(values) }
  } catch (error) {
    if (error instanceof Unwritable) return { ok: false, reason: error.message }
    throw error
  }
}

const READERS: Readonly<Record<FlaskRecordFormat, (bytes: Uint8Array, limits: PickleLimits) => ReadValue>> = {
  pickle: readPickle, msgpack: readMsgpack, json: readJson,
}

/** Plain JSON: msgspec has no tags, so an object of one member is just that. */
function readJson(bytes: Uint8Array, { maxBytes = 1 << 20, maxDepth = 500 }: PickleLimits): ReadValue {
  if (bytes.length > maxBytes) return { ok: false, reason: `it has more than ${maxBytes} bytes` }
  const text = decodeUtf8(bytes)
  const value = text === undefined ? undefined : parseJson(text, maxDepth)
  return value === undefined ? { ok: false, reason: 'it is not JSON' } : { ok: true, value }
}

/** By the first bytes: 0x80 and a protocol is a pickle, as is `(` (protocol 0); a lone 0x80 is MessagePack's empty map. */
function formatOf([first = -1, second = -1]: Uint8Array): FlaskRecordFormat | undefined {
  if ((first === 0x80 && second >= 2 && second <= 5) || first === 0x28) return 'pickle'
  if (first === 0x7b) return 'json'
  return (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf ? 'msgpack' : undefined
}
