import assert from 'node:assert/strict'
import { readResponse, type ReadResponse } from '../../support/read-responses.ts'
import type { FuzzedParser } from '../parser.ts'

const MAX_HEAD_BYTES = 512
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*$(?<![\t ])/

/** A response is the same however its bytes were cut, has no field that could end a line, and no more content than came. */
export const parser: FuzzedParser = {
  seeds: [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nok', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a="b"\r\nok\r\n0\r\nA: b\r\n\r\n', 'HTTP/1.1 200\r\n\r\nuntil the end', 'HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n', 'HTTP/1.1 200 OK\nA: b',
  ],
  words: ['HTTP/1.1 200 OK\r\n', 'HTTP/1.0 200\r\n', 'HTTP/1.1 103 \r\n', 'HTTP/1.1 204\r\n', '\r\n', '\r\n\r\n', '\r', '\n', 'Content-Length: ', 'Transfer-Encoding: ', 'chunked', 'Connection: ', 'close', 'keep-alive', 'Keep-Alive: timeout=', '0\r\n\r\n', '1\r\n', 'a;b="', ';', '"', ',', ': ', ' ', '\t', '\0', '\x7f', '\xa0', 'fffffffffffffff', '0'],
  check(input) {
    for (const method of ['GET', 'HEAD']) {
      const options = { method, maxHeadBytes: MAX_HEAD_BYTES }
      const { error: _why, ...whole } = readResponse([input], options)
      assertSound(whole, input)
      assertSame(readResponse([input.subarray(0, input.length >> 1), input.subarray(input.length >> 1)], options), whole)
      if (input.length <= 2_048) assertSame(readResponse([...input].map((byte) => Buffer.of(byte)), options), whole)
    }
  },
}

type Events = Omit<ReadResponse, 'error'>

/** Why it is refused may depend on how soon it is seen. */
function assertSame({ error: _why, ...read }: ReadResponse, whole: Events): void {
  assert.deepEqual(read, whole)
}

function assertSound({ interims, status, headers, body, ending }: Events, input: Buffer): void {
  for (const lines of [...interims.map((interim) => interim.headers), headers ?? []]) {
    lines.forEach((text, i) => assert.match(text, i % 2 === 0 ? TOKEN : VALUE))
  }
  for (const interim of interims) assert.ok(interim.status >= 100 && interim.status < 200 && interim.status !== 101)
  assert.ok(status === undefined || (status >= 200 && status <= 999))
  assert.ok(body.length < Math.max(1, input.length))
  if (ending === 'open' && headers !== undefined) assert.ok(!isClosing(headers))
}

function isClosing(headers: readonly string[]): boolean {
  return headers.some((text, i) => i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === 'connection' && /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(text))
}
