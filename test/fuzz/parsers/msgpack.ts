import assert from 'node:assert/strict'
import { readMsgpack } from '../../../src/adapters/flask/msgpack-reader.ts'
import { readFlaskRecord } from '../../../src/adapters/flask/record.ts'
import type { FuzzedParser } from '../parser.ts'
import { assertWritable } from '../python-records.ts'

const bytes = (...codes: number[]): Uint8Array => Uint8Array.from(codes)

/** As for pickles; and what a record reader takes for one format it does not take for another. */
export const parser: FuzzedParser = {
  seeds: [
    bytes(0x81, 0xa1, 0x61, 0x01), bytes(0x82, 0xa1, 0x61, 0x93, 0xc0, 0xc2, 0xc3, 0xa1, 0x62, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), bytes(0x80), bytes(0xde, 0, 1, 0xd9, 1, 0x61, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255),
    bytes(0x81, 0xa1, 0x74, 0xd6, 0xff, 0x66, 0, 0, 0), bytes(0x81, 0xa1, 0x74, 0xd7, 0xff, 0, 0, 0, 4, 0x66, 0, 0, 0), bytes(0x81, 0xa1, 0x74, 0xc7, 12, 0xff, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 0), bytes(0x81, 0xc4, 1, 2, 0xc4, 2, 1, 2), bytes(0x81, 0x01, 0xd3, 128, 0, 0, 0, 0, 0, 0, 0),
    bytes(0xdd, 255, 255, 255, 255), bytes(0xdb, 0xff, 0xff, 0xff, 0xff), '{"a":1,"b":[1.5,null]}',
  ],
  words: ['\x81\xa1a', '\xc0', '\xc2', '\xc3', '\xc4\x01', '\xc7\x0c\xff', '\xca', '\xcb', '\xcc\xff', '\xcd', '\xce', '\xcf', '\xd0\x80', '\xd3', '\xd6\xff', '\xd7\xff', '\xd8\x05', '\xd9\x01', '\xda', '\xdb', '\xdc\x00\x01', '\xdd', '\xde\x00\x01', '\xdf', '\xff', '\x90', '\x91\x91\x91'],
  check(input) {
    const read = readMsgpack(input)
    if (read.ok) assertWritable(read.value)
    const record = readFlaskRecord(input)
    if (!record.ok) return assert.notEqual(record.reason, '')
    assertWritable(record.values)
  },
}
