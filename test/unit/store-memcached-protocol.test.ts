import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MemcachedReply } from '../../src/stores/memcached-reply.ts'
import { createReplyReader } from '../../src/stores/memcached-reply.ts'
import { createRing } from '../../src/stores/memcached-ring.ts'

const line = fc.constantFrom('STORED', 'EXISTS', 'NOT_FOUND', 'NOT_STORED', 'END', 'SERVER_ERROR out of memory')
const item = fc.record({ value: fc.uint8Array({ maxLength: 200 }), cas: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String) })
const reply = fc.oneof(
  line.map((text) => ({ bytes: Buffer.from(`${text}\r\n`), expected: { line: text } })),
  item.map(({ value, cas }) => ({
    bytes: Buffer.concat([Buffer.from(`VALUE some:key 0 ${value.length} ${cas}\r\n`), value, Buffer.from('\r\nEND\r\n')]),
    expected: { line: 'END', item: { value: Buffer.from(value), cas } },
  })),
)

test('replies are read the same however they were cut', () => {
  fc.assert(fc.property(fc.array(reply, { maxLength: 6 }), fc.array(fc.nat(300), { maxLength: 20 }), (replies, cuts) => {
    const bytes = Buffer.concat(replies.map((one) => one.bytes))
    const found: MemcachedReply[] = []
    const reader = createReplyReader((one) => found.push(one))
    let start = 0
    for (const length of cuts) {
      reader.push(bytes.subarray(start, start + length))
      start += length
    }
    reader.push(bytes.subarray(start))
    expect(found).toEqual(replies.map(({ expected }) => expected))
  }))
})

test('any bytes are replies, an error, or wait for more; they never hang', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.constantFrom('VALUE ', '\r\n', 'VALUE k 0 5 1\r\n', 'END\r\n', 'STAT ').map((text) => Buffer.from(text)))), (chunks) => {
    const reader = createReplyReader(() => {})
    try {
      for (const chunk of chunks) reader.push(Buffer.from(chunk))
    } catch (error) {
      expect(String(error)).toMatch(/memcached sent/)
    }
  }))
})

const keys = Array.from({ length: 3_000 }, (_, index) => `session:${index}`)

test('servers share the keys about evenly', () => {
  const serverOf = createRing(['one:1', 'two:2', 'three:3'])
  const shares = new Map<string, number>()
  for (const key of keys) shares.set(serverOf(key), (shares.get(serverOf(key)) ?? 0) + 1)
  for (const share of shares.values()) expect(share).toBeGreaterThan(600)
})

test('another server takes keys from all and moves none between the others', () => {
  const [before, after] = [createRing(['one:1', 'two:2', 'three:3']), createRing(['three:3', 'four:4', 'one:1', 'two:2'])]
  const moved = keys.filter((key) => before(key) !== after(key))
  expect(moved.length).toBeGreaterThan(300)
  expect(moved.length).toBeLessThan(1_300)
  for (const key of moved) expect(after(key)).toBe('four:4')
})
