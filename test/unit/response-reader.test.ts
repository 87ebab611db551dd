import { describe, expect, test } from 'vitest'
import { ResponseReader } from '../../src/proxy/response-reader.ts'
import { readResponse, type ReadOptions, type ReadResponse } from '../support/read-responses.ts'

interface Row extends ReadOptions {
  readonly what: string
  readonly bytes: string
  /** A part of what was read, or why nothing can be made of it. */
  readonly expect: Partial<ReadResponse> | RegExp
}

const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`
const ok = (...fields: readonly string[]): string => head('HTTP/1.1 200 OK', ...fields)
const chunked = (...rest: readonly string[]): string => ok('Transfer-Encoding: chunked') + rest.join('')
const LENGTH_2 = 'Content-Length: 2'
const HEAD = /an invalid response head/
const LENGTH = /an invalid Content-Length/
const CODING = /a transfer coding/
const CHUNK = /an invalid chunk/
const BEHIND = /bytes that belong to no response/
const BARE = /does not end with CR LF/

/** Where nothing is said of it, node:http's client (llhttp 9, strict) does the same: the differential property holds us to that. */
const rows: Readonly<Record<string, readonly Row[]>> = {
  'the status line': [
    { what: 'a response', bytes: `${ok('A: b', LENGTH_2)}ok`, expect: { status: 200, reason: 'OK', headers: ['A', 'b', 'Content-Length', '2'], body: 'ok', ending: 'open' } },
    { what: 'an empty reason', bytes: `${head('HTTP/1.1 200 ', LENGTH_2)}ok`, expect: { status: 200, reason: '', ending: 'open' } },
    { what: 'neither reason nor the space before it', bytes: `${head('HTTP/1.1 200', LENGTH_2)}ok`, expect: { status: 200, reason: '', ending: 'open' } },
    { what: 'nothing but a status', bytes: 'HTTP/1.1 204\r\n\r\n', expect: { status: 204, headers: [], ending: 'open' } },
    { what: 'spaces and tabs in the reason', bytes: head('HTTP/1.1 204  No\tContent '), expect: { reason: ' No\tContent ' } },
    { what: 'latin-1 in the reason', bytes: head('HTTP/1.1 204 D\xe9j\xe0'), expect: { reason: 'D\xe9j\xe0' } },
    { what: '0x7f in the reason (node:http takes it)', bytes: head('HTTP/1.1 204 a\x7f'), expect: HEAD },
    { what: 'NUL in the reason', bytes: head('HTTP/1.1 204 a\0'), expect: HEAD },
    { what: 'a bare CR in the reason', bytes: head('HTTP/1.1 204 a\rb'), expect: HEAD },
    { what: 'no space before the reason', bytes: head('HTTP/1.1 204No'), expect: HEAD },
    { what: 'a tab before the reason', bytes: head('HTTP/1.1 204\tNo'), expect: HEAD },
    { what: 'two spaces before the status', bytes: head('HTTP/1.1  204 No'), expect: HEAD },
    { what: 'two digits', bytes: head('HTTP/1.1 20 No'), expect: HEAD },
    { what: 'four digits', bytes: head('HTTP/1.1 2040 No'), expect: HEAD },
    { what: '099, a class there is not (node:http takes it)', bytes: head('HTTP/1.1 099 Low'), expect: HEAD },
    { what: '999', bytes: head('HTTP/1.1 999 High', 'Content-Length: 0'), expect: { status: 999, ending: 'open' } },
    { what: 'another digit script', bytes: head('HTTP/1.1 \xb2\xb00 OK'), expect: HEAD },
    { what: 'http in small letters', bytes: head('http/1.1 204 No'), expect: HEAD },
    { what: 'HTTP/1.2', bytes: head('HTTP/1.2 204 No'), expect: HEAD },
    { what: 'HTTP/2.0 (node:http takes it)', bytes: head('HTTP/2.0 204 No'), expect: HEAD },
    { what: 'HTTP/0.9 (node:http takes it)', bytes: head('HTTP/0.9 204 No'), expect: HEAD },
    { what: 'HTTP/1.10', bytes: head('HTTP/1.10 204 No'), expect: HEAD },
    { what: 'an empty line first (node:http takes it; only a server may, RFC 9112 section 2.2)', bytes: `\r\n${head('HTTP/1.1 204 No')}`, expect: HEAD },
    { what: 'a whole empty head first', bytes: `\r\n\r\n${head('HTTP/1.1 204 No')}`, expect: HEAD },
    { what: 'a space first', bytes: ` ${head('HTTP/1.1 204 No')}`, expect: HEAD },
    { what: 'a line feed alone', bytes: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', expect: BARE },
    { what: 'a request', bytes: head('GET / HTTP/1.1', 'Host: a'), expect: HEAD },
    { what: 'nothing', bytes: '', expect: { ending: 'incomplete' } },
    { what: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nA: b\r\n', expect: { status: undefined, ending: 'incomplete' } },
  ],
  fields: [
    { what: 'order, case and repetition stay', bytes: head('HTTP/1.1 204 No', 'b: 1', 'A: 2', 'b: 3', 'Set-Cookie: x', 'set-cookie: y'), expect: { headers: ['b', '1', 'A', '2', 'b', '3', 'Set-Cookie', 'x', 'set-cookie', 'y'] } },
    { what: 'empty values', bytes: head('HTTP/1.1 204 No', 'A:', 'B: ', 'C: \t '), expect: { headers: ['A', '', 'B', '', 'C', ''] } },
    { what: 'white space around a value, none within it', bytes: head('HTTP/1.1 204 No', 'A: \t b\tc  d \t'), expect: { headers: ['A', 'b\tc  d'] } },
    { what: 'no space after the colon, more colons', bytes: head('HTTP/1.1 204 No', 'A:b:c'), expect: { headers: ['A', 'b:c'] } },
    { what: 'every character of a token', bytes: head('HTTP/1.1 204 No', '!#$%&\'*+-.^_`|~09azAZ: b'), expect: { headers: ['!#$%&\'*+-.^_`|~09azAZ', 'b'] } },
    { what: 'latin-1, and 0xa0 is no white space', bytes: head('HTTP/1.1 204 No', 'A: \xa0\x80\xff\xa0'), expect: { headers: ['A', '\xa0\x80\xff\xa0'] } },
    { what: '__proto__', bytes: head('HTTP/1.1 204 No', '__proto__: b', 'constructor: c'), expect: { headers: ['__proto__', 'b', 'constructor', 'c'] } },
    { what: 'no name', bytes: ok(': b', LENGTH_2), expect: HEAD },
    { what: 'no colon', bytes: ok('Ab', LENGTH_2), expect: HEAD },
    { what: 'a space before the colon', bytes: ok('Content-Length : 2'), expect: HEAD },
    { what: 'a tab before the colon', bytes: ok('A\t: 2'), expect: HEAD },
    { what: 'a space in the name', bytes: ok('A b: 2'), expect: HEAD },
    { what: 'a separator in the name', bytes: ok('A(b): 2'), expect: HEAD },
    { what: 'latin-1 in the name', bytes: ok('\xc4: 2'), expect: HEAD },
    { what: 'a folded value', bytes: ok('A: b', ' c', LENGTH_2), expect: HEAD },
    { what: 'a folded first line', bytes: ok(' A: b', LENGTH_2), expect: HEAD },
    { what: 'a folded length', bytes: ok('Content-Length:', '\t2'), expect: HEAD },
    { what: 'a bare LF', bytes: ok('A: b\nContent-Length: 2'), expect: HEAD },
    { what: 'a bare CR', bytes: ok('A: b\rContent-Length: 2'), expect: HEAD },
    { what: 'CR CR LF', bytes: ok('A: b\r', LENGTH_2), expect: HEAD },
    { what: 'NUL', bytes: ok('A: b\0'), expect: HEAD },
    { what: '0x7f', bytes: ok('A: b\x7f'), expect: HEAD },
    { what: 'a vertical tab', bytes: ok('A: \x0bb'), expect: HEAD },
  ],
  'where the content ends': [
    { what: 'a length', bytes: `${ok(LENGTH_2)}ok`, expect: { body: 'ok', ending: 'open' } },
    { what: 'a length of nothing', bytes: ok('Content-Length: 0'), expect: { body: '', ending: 'open' } },
    { what: 'zeros before a length', bytes: `${ok('content-length: 00000000000000000002')}ok`, expect: { body: 'ok', ending: 'open' } },
    { what: 'tabs around a length (node:http refuses them, RFC 9110 section 5.5 does not)', bytes: `${ok('Content-Length:\t2\t')}ok`, expect: { body: 'ok', ending: 'open' } },
    { what: 'less than the length', bytes: `${ok('Content-Length: 5')}ok`, expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'less than the length, with close', bytes: `${ok('Connection: close', 'Content-Length: 5')}ok`, expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'more than the length', bytes: `${ok(LENGTH_2)}ok!`, expect: BEHIND },
    { what: 'CR LF behind the content', bytes: `${ok(LENGTH_2)}ok\r\n`, expect: BEHIND },
    { what: 'another response behind the content', bytes: `${ok(LENGTH_2)}ok${ok(LENGTH_2)}no`, expect: BEHIND },
    { what: 'no length: until the end', bytes: `${ok()}ok`, expect: { body: 'ok', ending: 'over' } },
    { what: 'no length and no end', bytes: `${ok()}ok`, isEnded: false, expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'no length and no content', bytes: ok(), expect: { body: '', ending: 'over' } },
    { what: '205 without a length', bytes: head('HTTP/1.1 205 Reset'), isEnded: false, expect: { status: 205, ending: 'incomplete' } },
    { what: 'two equal lengths', bytes: `${ok(LENGTH_2, LENGTH_2)}ok`, expect: LENGTH },
    { what: 'two lengths', bytes: `${ok(LENGTH_2, 'Content-Length: 3')}ok`, expect: LENGTH },
    { what: 'a list of lengths', bytes: `${ok('Content-Length: 2, 2')}ok`, expect: LENGTH },
    { what: 'an empty length', bytes: `${ok('Content-Length:')}ok`, expect: LENGTH },
    { what: 'a sign', bytes: `${ok('Content-Length: +2')}ok`, expect: LENGTH },
    { what: 'a negative length', bytes: `${ok('Content-Length: -2')}ok`, expect: LENGTH },
    { what: 'a space within', bytes: `${ok('Content-Length: 1 2')}ok`, expect: LENGTH },
    { what: 'a hexadecimal length', bytes: `${ok('Content-Length: 0x2')}ok`, expect: LENGTH },
    { what: 'an exponent', bytes: `${ok('Content-Length: 2e0')}ok`, expect: LENGTH },
    { what: 'a fraction', bytes: `${ok('Content-Length: 2.0')}ok`, expect: LENGTH },
    { what: '0xa0 behind a length', bytes: `${ok('Content-Length: 2\xa0')}ok`, expect: LENGTH },
    { what: 'the last length that is exact', bytes: ok('Content-Length: 9007199254740991'), expect: { status: 200, ending: 'incomplete' } },
    { what: 'the first that is not', bytes: ok('Content-Length: 9007199254740992'), expect: LENGTH },
    { what: 'a length of 400 digits', bytes: ok(`Content-Length: ${'9'.repeat(400)}`), expect: LENGTH },
    { what: 'lengths of 204 are lengths too', bytes: head('HTTP/1.1 204 No', 'Content-Length: x'), expect: LENGTH },
  ],
  'answers without content': [
    { what: 'HEAD with a length', method: 'HEAD', bytes: ok('Content-Length: 5'), expect: { body: '', ending: 'over' } },
    { what: 'HEAD without one', method: 'HEAD', bytes: ok(), isEnded: false, expect: { body: '', ending: 'open' } },
    { what: 'HEAD with chunked', method: 'HEAD', bytes: chunked(), expect: { body: '', ending: 'over' } },
    { what: 'HEAD with content', method: 'HEAD', bytes: `${ok(LENGTH_2)}ok`, expect: BEHIND },
    { what: 'a head that is not small: head', method: 'head', bytes: `${ok(LENGTH_2)}ok`, expect: { body: 'ok' } },
    { what: '204', bytes: head('HTTP/1.1 204 No'), isEnded: false, expect: { ending: 'open' } },
    { what: '204 of nothing', bytes: head('HTTP/1.1 204 No', 'Content-Length: 0'), expect: { ending: 'open' } },
    { what: '204 that names content: it may still come', bytes: head('HTTP/1.1 204 No', LENGTH_2), expect: { body: '', ending: 'over' } },
    { what: '204 with chunked', bytes: head('HTTP/1.1 204 No', 'Transfer-Encoding: chunked'), expect: { ending: 'over' } },
    { what: '204 with content', bytes: `${head('HTTP/1.1 204 No', LENGTH_2)}ok`, expect: BEHIND },
    { what: '304', bytes: head('HTTP/1.1 304 Not Modified', 'ETag: "a"'), isEnded: false, expect: { ending: 'open' } },
    { what: '304 that names content: it may still come', bytes: head('HTTP/1.1 304 Not Modified', LENGTH_2), expect: { ending: 'over' } },
    { what: '304 with content', bytes: `${head('HTTP/1.1 304 Not Modified', LENGTH_2)}ok`, expect: BEHIND },
  ],
  'transfer codings': [
    { what: 'chunked', bytes: chunked('2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n'), expect: { body: 'okay!', ending: 'open' } },
    { what: 'Chunked', bytes: `${ok('transfer-encoding:  Chunked ')}0\r\n\r\n`, expect: { body: '', ending: 'open' } },
    { what: 'a tab behind chunked (node:http takes it for another coding, RFC 9110 section 5.5 does not)', bytes: `${ok('Transfer-Encoding: chunked\t')}0\r\n\r\n`, expect: { body: '', ending: 'open' } },
    { what: 'chunked and a length', bytes: `${ok('Transfer-Encoding: chunked', LENGTH_2)}0\r\n\r\n`, expect: /two readers/ },
    { what: 'a length and chunked', bytes: `${ok(LENGTH_2, 'Transfer-Encoding: chunked')}0\r\n\r\n`, expect: /two readers/ },
    { what: 'chunked in HTTP/1.0 (node:http takes it; faulty by RFC 9112 section 6.1)', bytes: `${head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')}0\r\n\r\n`, expect: /two readers/ },
    { what: 'chunked twice (node:http takes it; RFC 9112 section 6.1 forbids it)', bytes: `${ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}0\r\n\r\n`, expect: CODING },
    { what: 'chunked and an empty member (node:http takes it)', bytes: `${ok('Transfer-Encoding: , chunked')}0\r\n\r\n`, expect: CODING },
    { what: 'gzip, chunked (node:http takes it)', bytes: `${ok('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`, expect: CODING },
    { what: 'chunked, gzip', bytes: ok('Transfer-Encoding: chunked, gzip'), expect: CODING },
    { what: 'identity (node:http takes it; RFC 7230 removed it)', bytes: ok('Transfer-Encoding: identity'), expect: CODING },
    { what: 'an empty one beside a length (node:http takes it)', bytes: `${ok('Transfer-Encoding:', LENGTH_2)}ok`, expect: CODING },
    { what: '0xa0 before chunked (node:http takes it for another coding)', bytes: ok('Transfer-Encoding: \xa0chunked'), expect: CODING },
    { what: 'xchunked', bytes: ok('Transfer-Encoding: xchunked'), expect: CODING },
  ],
  chunks: [
    { what: 'digits of both cases', bytes: chunked(`a\r\n${'x'.repeat(10)}\r\nB\r\n${'y'.repeat(11)}\r\n0\r\n\r\n`), expect: { body: 'x'.repeat(10) + 'y'.repeat(11), ending: 'open' } },
    { what: 'zeros before a size, and several for the last', bytes: chunked('00000000000000000002\r\nok\r\n000\r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'extensions', bytes: chunked('2;a=b;c="d;e";f\r\nok\r\n0;last\r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'white space in extensions (RFC 9112 section 7.1.1; node:http refuses it)', bytes: chunked('2 ; a = "b" \t\r\nok\r\n0\r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'a padded size, as of old Apaches (node:http refuses it)', bytes: chunked('2     \r\nok\r\n0 \r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'extensions of any kind: they mean nothing (node:http refuses them)', bytes: chunked('2;a@(b);;\xff\r\nok\r\n0;\r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'CR LF within quotes ends the line', bytes: chunked('2;a="\r\nok\r\n0\r\n\r\n'), expect: { body: 'ok', ending: 'open' } },
    { what: 'a bare LF in an extension', bytes: chunked('2;a\nb\r\nok\r\n0\r\n\r\n'), expect: CHUNK },
    { what: 'a bare CR in an extension', bytes: chunked('2;a\rb\r\nok\r\n0\r\n\r\n'), expect: CHUNK },
    { what: 'NUL in an extension', bytes: chunked('2;a\0\r\nok\r\n0\r\n\r\n'), expect: CHUNK },
    { what: 'LF behind a size', bytes: chunked('2\nok\n0\n\n'), expect: CHUNK },
    { what: 'LF behind a size, and no more', bytes: chunked('2\n'), isEnded: false, expect: CHUNK },
    { what: 'CR CR LF behind a size', bytes: chunked('2\r\r\nok'), expect: CHUNK },
    { what: 'no size', bytes: chunked('\r\nok'), expect: CHUNK },
    { what: 'only an extension', bytes: chunked(';a\r\nok'), expect: CHUNK },
    { what: 'a space before a size', bytes: chunked(' 2\r\nok'), expect: CHUNK },
    { what: 'a sign', bytes: chunked('+2\r\nok'), expect: CHUNK },
    { what: 'a negative size', bytes: chunked('-2\r\nok'), expect: CHUNK },
    { what: '0x2', bytes: chunked('0x2\r\nok'), expect: CHUNK },
    { what: 'no hexadecimal', bytes: chunked('g\r\nok'), expect: CHUNK },
    { what: 'a space within', bytes: chunked('1 2\r\nok'), expect: CHUNK },
    { what: 'the last size that is exact', bytes: chunked('1fffffffffffff\r\nok'), expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'the first that is not', bytes: chunked('20000000000000\r\nok'), expect: CHUNK },
    { what: 'a size of 2^64 and 2', bytes: chunked('10000000000000002\r\nok'), expect: CHUNK },
    { what: 'a size line without end', bytes: chunked(`2;${'a'.repeat(1_024)}`), isEnded: false, expect: /without end/ },
    { what: 'a size line that is too long', bytes: chunked(`2;${'a'.repeat(1_024)}\r\nok\r\n0\r\n\r\n`), expect: /without end/ },
    { what: 'a size line that is just not too long', bytes: chunked(`2;${'a'.repeat(1_021)}\r\nok\r\n0\r\n\r\n`), expect: { body: 'ok', ending: 'open' } },
    { what: 'a chunk longer than its size', bytes: chunked('2\r\nokay\r\n0\r\n\r\n'), expect: /longer than it says/ },
    { what: 'no CR LF behind a chunk', bytes: chunked('2\r\nok0\r\n\r\n'), expect: /longer than it says/ },
    { what: 'LF behind a chunk', bytes: chunked('2\r\nok\n0\r\n\r\n'), expect: /longer than it says/ },
    { what: 'an end within a chunk', bytes: chunked('5\r\nok'), expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'an end between chunks', bytes: chunked('2\r\nok\r\n'), expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'an end before the last empty line', bytes: chunked('2\r\nok\r\n0\r\n'), expect: { body: 'ok', ending: 'incomplete' } },
    { what: 'trailers are dropped', bytes: chunked('2\r\nok\r\n0\r\nA: b\r\nC:\r\n\r\n'), expect: { headers: ['Transfer-Encoding', 'chunked'], body: 'ok', ending: 'open' } },
    { what: 'framing in trailers is dropped as well (node:http refuses it)', bytes: chunked('0\r\nContent-Length: 5\r\n\r\n'), expect: { body: '', ending: 'open' } },
    { what: 'folded trailers', bytes: chunked('0\r\nA: b\r\n c\r\n\r\n'), expect: /invalid trailers/ },
    { what: 'trailers without a name', bytes: chunked('0\r\n: b\r\n\r\n'), expect: /invalid trailers/ },
    { what: 'a bare LF in trailers', bytes: chunked('0\r\nA: b\n'), isEnded: false, expect: BARE },
    { what: 'a response for trailers', bytes: chunked(`0\r\n${ok(LENGTH_2)}ok`), expect: /invalid trailers/ },
    { what: 'endless trailers', maxHeadBytes: 100, bytes: chunked(`0\r\n${'A: b\r\n'.repeat(18)}`), isEnded: false, expect: /more than 100 bytes/ },
    { what: 'bytes behind the last chunk', bytes: chunked('0\r\n\r\n\r\n'), expect: BEHIND },
  ],
  'what may follow on the connection': [
    { what: 'nothing said', bytes: ok('Content-Length: 0'), expect: { ending: 'open' } },
    { what: 'close', bytes: ok('Connection: close', 'Content-Length: 0'), expect: { ending: 'over' } },
    { what: 'Close in a list', bytes: ok('connection: x-a , Close', 'Content-Length: 0'), expect: { ending: 'over' } },
    { what: 'close on the second line', bytes: ok('Connection: keep-alive', 'Connection: close', 'Content-Length: 0'), expect: { ending: 'over' } },
    { what: 'disclosed', bytes: ok('Connection: disclosed', 'Content-Length: 0'), expect: { ending: 'open' } },
    { what: 'HTTP/1.0', bytes: head('HTTP/1.0 200 OK', 'Content-Length: 0'), expect: { ending: 'over' } },
    { what: 'HTTP/1.0 and keep-alive', bytes: head('HTTP/1.0 200 OK', 'Connection: Keep-Alive', 'Content-Length: 0'), expect: { ending: 'open' } },
    { what: 'HTTP/1.0, keep-alive and close: close goes first (RFC 9112 section 9.3)', bytes: head('HTTP/1.0 200 OK', 'Connection: keep-alive, close', 'Content-Length: 0'), expect: { ending: 'over' } },
    { what: 'HTTP/1.0, keep-alive and no length', bytes: `${head('HTTP/1.0 200 OK', 'Connection: keep-alive')}ok`, expect: { body: 'ok', ending: 'over' } },
  ],
  'interim responses': [
    { what: 'several', bytes: head('HTTP/1.1 100 Continue') + head('HTTP/1.1 103 Early Hints', 'Link: </a>') + ok('Content-Length: 0'), expect: { interims: [{ status: 100, headers: [] }, { status: 103, headers: ['Link', '</a>'] }], status: 200, ending: 'open' } },
    { what: 'one that says close, or names content: it has none and the last word is not its', bytes: head('HTTP/1.1 103 Early Hints', 'Connection: close', LENGTH_2) + head('HTTP/1.1 103 Early Hints', 'Transfer-Encoding: chunked') + ok('Content-Length: 0'), expect: { status: 200, ending: 'open' } },
    { what: 'of HTTP/1.0 (node:http refuses it)', bytes: head('HTTP/1.0 100 Continue') + ok('Content-Length: 0'), expect: { interims: [{ status: 100, headers: [] }], status: 200 } },
    { what: 'before the answer to HEAD', method: 'HEAD', bytes: head('HTTP/1.1 100 Continue') + ok(LENGTH_2), expect: { status: 200, body: '', ending: 'over' } },
    { what: 'one alone', bytes: head('HTTP/1.1 100 Continue'), expect: { status: undefined, ending: 'incomplete' } },
    { what: '101', bytes: head('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'), expect: /a 101 nobody asked for/ },
    { what: 'one that is broken', bytes: head('HTTP/1.1 103 Early Hints', 'A b: c') + ok('Content-Length: 0'), expect: HEAD },
    { what: 'one behind the answer', bytes: ok('Content-Length: 0') + head('HTTP/1.1 100 Continue'), expect: BEHIND },
  ],
}

const AT_LIMIT = 'HTTP/1.1 200 OK\r\nContent-Length: 2'
const limits: readonly Row[] = [
  { what: 'a head just at the limit', maxHeadBytes: AT_LIMIT.length, bytes: `${AT_LIMIT}\r\n\r\nok`, expect: { body: 'ok', ending: 'open' } },
  { what: 'a head over the limit', maxHeadBytes: AT_LIMIT.length - 1, bytes: `${AT_LIMIT}\r\n\r\nok`, expect: /more than/ },
  { what: 'an endless line', maxHeadBytes: 40, bytes: 'x'.repeat(44), isEnded: false, expect: /more than 40 bytes/ },
  { what: 'trailers just at the limit', maxHeadBytes: 50, bytes: chunked(`0\r\nA: ${'b'.repeat(47)}\r\n\r\n`), expect: { ending: 'open' } },
  { what: 'trailers over the limit', maxHeadBytes: 50, bytes: chunked(`0\r\nA: ${'b'.repeat(48)}\r\n\r\n`), expect: /more than/ },
]

describe.each([...Object.entries(rows), ['limits', limits] as const])('%s', (_group, group) => {
  test.each(group)('$what', ({ bytes, expect: expected, ...options }) => {
    const whole = Buffer.from(bytes, 'latin1')
    const read = readResponse([whole], options)
    if (expected instanceof RegExp) expect(read).toMatchObject({ ending: 'refused', error: expect.stringMatching(expected) as string })
    else expect(read).toMatchObject({ error: undefined, ...expected })
    const { error: _why, ...alike } = read
    expect(readResponse([...whole].map((byte) => Buffer.of(byte)), options)).toMatchObject(alike)
  })
})

test.each([
  ['timeout=5, max=100', 5_000], ['max=100,Timeout=7', 7_000], ['timeout=0', 0], ['max=1', undefined], ['xtimeout=5', undefined], ['timeout=-1', undefined], ['', undefined],
])('Keep-Alive: %s', (value, expected) => {
  const reader = new ResponseReader({ onInterim() {}, onHead() {}, onBody() {}, onEnd() {} }, 1_024)
  reader.expect('GET')
  reader.push(Buffer.from(ok(`Keep-Alive: ${value}`, 'Content-Length: 0')))
  expect(reader.keepAliveMs).toBe(expected)
  reader.expect('GET')
  expect(reader.keepAliveMs).toBeUndefined()
})

test('content is handed on as it comes, not copied and not collected', () => {
  const pieces: Buffer[] = []
  const reader = new ResponseReader({ onInterim() {}, onHead() {}, onBody: (piece) => void pieces.push(piece), onEnd() {} }, 1_024)
  reader.expect('GET')
  reader.push(Buffer.from(ok('Content-Length: 100000')))
  const piece = Buffer.alloc(50_000)
  reader.push(piece)
  expect(pieces.map(({ buffer, length }) => [buffer === piece.buffer, length])).toEqual([[true, 50_000]])
})

/** 16 times the bytes take 16 times as long, or 256 times where each byte costs what came before it. */
test.each([
  ['a head', 'HTTP/1.1 200 OK\r\n', 'A: b\r\n'],
  ['one field', 'HTTP/1.1 200 OK\r\nA: ', 'b'],
  ['trailers', chunked('0\r\n'), 'A: b\r\n'],
])('%s that comes byte by byte costs what it is long', (_what, start, part) => {
  const msFor = (size: number): number => {
    const bytes = Buffer.from(start + part.repeat(size / part.length))
    const begin = performance.now()
    expect(readResponse([...bytes].map((_, i) => bytes.subarray(i, i + 1)), { maxHeadBytes: size * 2, isEnded: false })).toMatchObject({ ending: 'incomplete' })
    return performance.now() - begin
  }
  msFor(32_768)
  const small = Math.min(msFor(32_768), msFor(32_768), msFor(32_768))
  expect(msFor(524_288)).toBeLessThan(small * 90)
})
