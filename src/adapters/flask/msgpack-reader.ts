import { ByteReader } from './byte-reader.ts'
import { dictOf, Unreadable } from './pickle-nodes.ts'
import type { ReadValue } from './pickle.ts'
import { isoOfInstant } from './python-datetime.ts'
import { floatText } from './python-number.ts'
import { isHashable, NumberText } from './python-value.ts'
import type { PyValue } from './python-value.ts'
import { decodeUtf8 } from './url-safe-body.ts'

export interface MsgpackLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number
  /** Default 500. */
  readonly maxDepth?: number
}

/**
 * Reads one MessagePack value (the specification's formats; of the extensions only -1, timestamp). Integers keep all their 64 bits,
 * floats are Python's text of them. Unreadable: anything cut short, too deep, not UTF-8, of another extension, or followed by more.
 * Never throws.
 */
export function readMsgpack(bytes: Uint8Array, limits: MsgpackLimits = {}): ReadValue {
  const { maxBytes = 1 << 20, maxDepth = 500 } = limits
  if (bytes.length > maxBytes) return { ok: false, reason: `it has more than ${maxBytes} bytes` }
  const input = new ByteReader(bytes)
  try {
    const value = readValue(input, maxDepth)
    return input.remaining === 0 ? { ok: true, value } : { ok: false, reason: 'more follows after its end' }
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, reason: error.message }
    throw error
  }
}

function readValue(input: ByteReader, depth: number): PyValue {
  const first = input.byte()
  if (first <= 0x7f) return integer(first)
  if (first <= 0x8f) return readMap(input, first & 0x0f, depth)
  if (first <= 0x9f) return readArray(input, first & 0x0f, depth)
  if (first <= 0xbf) return text(input.take(first & 0x1f))
  if (first >= 0xe0) return integer(first - 256)
  return readLong(input, first, depth)
}

function readLong(input: ByteReader, first: number, depth: number): PyValue {
  switch (first) {
    case 0xc0: return null
    case 0xc2: return false
    case 0xc3: return true
    case 0xc4: case 0xc5: case 0xc6: return Uint8Array.from(input.take(lengthOf(input, first - 0xc4)))
    case 0xc7: case 0xc8: case 0xc9: return readExtension(input, lengthOf(input, first - 0xc7))
    case 0xca: return new NumberText(floatText(input.take(4).readFloatBE()))
    case 0xcb: return new NumberText(floatText(input.take(8).readDoubleBE()))
    case 0xcc: return integer(input.byte())
    case 0xcd: return integer(input.take(2).readUInt16BE())
    case 0xce: return integer(input.take(4).readUInt32BE())
    case 0xcf: return integer(input.take(8).readBigUInt64BE())
    case 0xd0: return integer(input.take(1).readInt8())
    case 0xd1: return integer(input.take(2).readInt16BE())
    case 0xd2: return integer(input.take(4).readInt32BE())
    case 0xd3: return integer(input.take(8).readBigInt64BE())
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return readExtension(input, 1 << (first - 0xd4))
    case 0xd9: case 0xda: case 0xdb: return text(input.take(lengthOf(input, first - 0xd9)))
    case 0xdc: case 0xdd: return readArray(input, lengthOf(input, first - 0xdb), depth)
    case 0xde: case 0xdf: return readMap(input, lengthOf(input, first - 0xdd), depth)
    default: throw new Unreadable('the byte 0xc1 is not MessagePack')
  }
}

/** A length of one, two or four bytes. */
function lengthOf(input: ByteReader, power: number): number {
  const width = 1 << power
  return input.take(width).readUIntBE(0, width)
}

/** A declared length is believed only as far as bytes are left, so nothing is allocated on its word. */
function readArray(input: ByteReader, length: number, depth: number): readonly PyValue[] {
  if (depth <= 0) throw new Unreadable('it nests too deeply')
  const items: PyValue[] = []
  while (items.length < length) items.push(readValue(input, depth - 1))
  return items
}

function readMap(input: ByteReader, length: number, depth: number): PyValue {
  const flat = readArray(input, length * 2, depth)
  const last = new Map<PyValue, readonly [PyValue, PyValue]>()
  for (let at = 0; at < flat.length; at += 2) {
    const key = flat[at] as PyValue
    if (!isHashable(key)) throw new Unreadable('a dict key is itself a dict, or holds one')
    last.set(key, [key, flat[at + 1] as PyValue])
  }
  return dictOf([...last.values()])
}

function readExtension(input: ByteReader, length: number): PyValue {
  const type = input.take(1).readInt8()
  const data = input.take(length)
  if (type !== -1 || (length !== 4 && length !== 8 && length !== 12)) throw new Unreadable(`the extension ${type} is unknown`)
  const packed = length === 8 ? data.readBigUInt64BE() : 0n
  const [nanoseconds, seconds] = length === 4 ? [0, BigInt(data.readUInt32BE())]
    : length === 8 ? [Number(packed >> 34n), packed & 0x3ffffffffn]
      : [data.readUInt32BE(), data.readBigInt64BE(4)]
  // Python's datetime knows the years 1 to 9999.
  if (nanoseconds > 999_999_999 || seconds < -62_135_596_800n || seconds > 253_402_300_799n) throw new Unreadable('a timestamp is no date')
  return { kind: 'datetime', iso: isoOfInstant(Number(seconds), Math.floor(nanoseconds / 1000)) }
}

function integer(value: number | bigint): NumberText {
  return new NumberText(value.toString())
}

function text(bytes: Uint8Array): string {
  const decoded = decodeUtf8(bytes)
  if (decoded === undefined) throw new Unreadable('a text is not UTF-8')
  return decoded
}
