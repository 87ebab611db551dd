import { plainOf, Unwritable } from './msgspec-value.ts'
import { instantOfIso } from './python-datetime.ts'
import { isIntegerText } from './python-number.ts'
import { isDict, isList, NumberText } from './python-value.ts'
import type { PyValue } from './python-value.ts'

const MIN_INT64 = -(2n ** 63n)
const MAX_UINT64 = 2n ** 64n - 1n

/**
 * One value as MessagePack, in the shortest forms, as msgspec (Flask-Session 0.8) writes it: tuple and set are arrays, UUID, Markup and
 * naive datetime are text, an aware datetime is the timestamp extension. Throws Unwritable for what msgspec cannot write: integers
 * beyond 64 bits, lone surrogates, datetimes out of range.
 */
export function writeMsgpack(value: PyValue): Uint8Array {
  const chunks: Uint8Array[] = []
  write(value, chunks)
  return Buffer.concat(chunks)
}

function write(value: PyValue, chunks: Uint8Array[]): void {
  if (value === null) chunks.push(Uint8Array.of(0xc0))
  else if (typeof value === 'boolean') chunks.push(Uint8Array.of(value ? 0xc3 : 0xc2))
  else if (typeof value === 'string') writeText(value, chunks)
  else if (value instanceof NumberText) chunks.push(numberBytes(value.text))
  else if (value instanceof Uint8Array) chunks.push(head([[0xff, 0xc4], [0xffff, 0xc5], [0xffff_ffff, 0xc6]], value.length), value)
  else if (isList(value)) writeArray(value, chunks)
  else if (isDict(value)) writeMap([...value], chunks)
  else if (value.kind === 'map') writeMap(value.entries, chunks)
  else if (value.kind === 'datetime' && instantOfIso(value.iso)?.isAware) chunks.push(timestamp(value.iso))
  else write(plainOf(value), chunks)
}

function writeText(text: string, chunks: Uint8Array[]): void {
  if (/\p{Surrogate}/u.test(text)) throw new Unwritable('a text has a lone surrogate')
  const bytes = Buffer.from(text, 'utf8')
  chunks.push(bytes.length < 32 ? Uint8Array.of(0xa0 | bytes.length) : head([[0xff, 0xd9], [0xffff, 0xda], [0xffff_ffff, 0xdb]], bytes.length), bytes)
}

function writeArray(items: readonly PyValue[], chunks: Uint8Array[]): void {
  chunks.push(items.length < 16 ? Uint8Array.of(0x90 | items.length) : head([[0xffff, 0xdc], [0xffff_ffff, 0xdd]], items.length))
  for (const item of items) write(item, chunks)
}

function writeMap(entries: readonly (readonly [PyValue, PyValue])[], chunks: Uint8Array[]): void {
  chunks.push(entries.length < 16 ? Uint8Array.of(0x80 | entries.length) : head([[0xffff, 0xde], [0xffff_ffff, 0xdf]], entries.length))
  for (const [key, item] of entries) {
    write(key, chunks)
    write(item, chunks)
  }
}

/** The first form whose largest length is enough: its byte, then the length in as many bytes as that takes. */
function head(forms: readonly (readonly [number, number])[], length: number): Uint8Array {
  const [limit, first] = forms.find(([largest]) => length <= largest) ?? [0, 0]
  const width = limit === 0xff ? 1 : limit === 0xffff ? 2 : 4
  const bytes = Buffer.alloc(1 + width)
  bytes[0] = first
  bytes.writeUIntBE(length, 1, width)
  return bytes
}

function numberBytes(text: string): Uint8Array {
  if (!isIntegerText(text)) {
    const bytes = Buffer.alloc(9, 0xcb)
    bytes.writeDoubleBE(Number(text), 1)
    return bytes
  }
  const integer = BigInt(text)
  if (integer < MIN_INT64 || integer > MAX_UINT64) throw new Unwritable('an integer has more than 64 bits')
  return integer >= 0n ? unsignedBytes(integer) : signedBytes(integer)
}

function unsignedBytes(integer: bigint): Uint8Array {
  if (integer < 0x80n) return Uint8Array.of(Number(integer))
  if (integer <= 0xffff_ffffn) return head([[0xff, 0xcc], [0xffff, 0xcd], [0xffff_ffff, 0xce]], Number(integer))
  const bytes = Buffer.alloc(9, 0xcf)
  bytes.writeBigUInt64BE(integer, 1)
  return bytes
}

function signedBytes(integer: bigint): Uint8Array {
  if (integer >= -32n) return Uint8Array.of(Number(integer) & 0xff)
  const width = integer >= -0x80n ? 1 : integer >= -0x8000n ? 2 : integer >= -0x8000_0000n ? 4 : 8
  const bytes = Buffer.alloc(1 + width, 0xd0 + Math.log2(width))
  if (width === 8) bytes.writeBigInt64BE(integer, 1)
  else bytes.writeIntBE(Number(integer), 1, width)
  return bytes
}

/** Extension -1 in 4, 8 or 12 bytes, whichever holds the instant. */
function timestamp(iso: string): Uint8Array {
  const { epochSeconds = 0, microseconds = 0 } = instantOfIso(iso) ?? {}
  const nanoseconds = microseconds * 1000
  if (epochSeconds < 0 || epochSeconds >= 2 ** 34) {
    const bytes = Buffer.from([0xc7, 12, 0xff, ...new Uint8Array(12)])
    bytes.writeUInt32BE(nanoseconds, 3)
    bytes.writeBigInt64BE(BigInt(epochSeconds), 7)
    return bytes
  }
  if (nanoseconds === 0 && epochSeconds < 2 ** 32) {
    const bytes = Buffer.from([0xd6, 0xff, 0, 0, 0, 0])
    bytes.writeUInt32BE(epochSeconds, 2)
    return bytes
  }
  const bytes = Buffer.from([0xd7, 0xff, ...new Uint8Array(8)])
  bytes.writeBigUInt64BE((BigInt(nanoseconds) << 34n) | BigInt(epochSeconds), 2)
  return bytes
}
