import assert from 'node:assert/strict'
import { createReplyReader, type MemcachedReply } from '../../../src/stores/memcached-reply.ts'
import type { FuzzedParser } from '../parser.ts'

/** Replies are the same however their bytes were cut into chunks. What cannot be one ends the connection, by an Error. */
export const parser: FuzzedParser = {
  seeds: ['STORED\r\n', 'VALUE k 0 3 17\r\nabc\r\nEND\r\n', 'STAT a 1\r\nSTAT b 2\r\nEND\r\n', 'ERROR\r\nSERVER_ERROR out of memory\r\n', 'VALUE k 0 -1 1\r\n', 'VALUE k 0 0 1\r\n\r\nEND\r\nNOT_FOUND\r\n', 'VALUE k 0 5 1\r\nab\r\n'],
  words: ['STORED\r\n', 'EXISTS\r\n', 'END\r\n', 'VALUE ', ' 0 ', '\r\n', '\r', '\n', 'STAT ', '1', '0', '99999999999999999999', ' '],
  check(input) {
    const whole = repliesOf([input])
    if (input.length <= 2_048) assert.deepEqual(repliesOf([...input].map((byte) => Buffer.of(byte))), whole)
    assert.deepEqual(repliesOf([input.subarray(0, input.length >> 1), input.subarray(input.length >> 1)]), whole)
  },
}

function repliesOf(chunks: readonly Buffer[]): readonly (MemcachedReply | 'broken')[] {
  const replies: (MemcachedReply | 'broken')[] = []
  const reader = createReplyReader((reply) => replies.push(reply))
  try {
    for (const chunk of chunks) reader.push(chunk)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('memcached sent'))) throw error
    replies.push('broken')
  }
  return replies
}
