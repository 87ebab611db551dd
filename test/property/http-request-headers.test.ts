import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RequestInvalidError } from '../../src/errors.ts'
import { canonicalName, ownNames } from '../../src/http/field-names.ts'
import { createRequestHeadersReader, type RequestHeaders } from '../../src/http/request-headers.ts'

const PREFIX = 'X-Session-'
const read = createRequestHeadersReader(ownNames(PREFIX))
const TOKEN = "!#$%&'*+.^_`|~-"

/** A name with every separator and every letter's case drawn anew. */
function spelt(name: string): fc.Arbitrary<string> {
  return fc.tuple(...[...name].map((character) => character === '-'
    ? fc.constantFrom(...TOKEN)
    : fc.constantFrom(character.toLowerCase(), character.toUpperCase()))).map((characters) => characters.join(''))
}

const protectedName = fc.constantFrom(
  'x-session-assertion', 'x-session-patch', 'x-session-control', 'x-session-mutation', 'x-session-', 'x-session-anything', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto',
  'x-forwarded-user', 'x-forwarded-', 'forwarded', 'x-real-ip', 'x-request-id', 'keep-alive', 'proxy-authorization', 'te', 'trailer', 'x-original-url',
).chain(spelt)
const freeName = fc.stringMatching(/^y[a-z0-9-]{0,8}$/)
const value = fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,12}$/)
const special = fc.constantFrom<readonly [string, string]>(
  ['Connection', 'close, y, x-session-assertion, x-forwarded-for, host'], ['connection', 'ya'], ['Cookie', 'a=1'], ['Cookie', ''], ['Via', '1.1 a'], ['Max-Forwards', '3'], ['Content-Length', '5'],
  ['content_length', '7'], ['Transfer-Encoding', 'chunked'], ['transfer-encoding', 'gzip, chunked'], ['Host', 'b'], ['Expect', '100-continue'], ['Expect', 'x'], ['Upgrade', 'h2c'], ['__proto__', 'x'], ['constructor', 'x'],
)
const line = fc.oneof(fc.tuple(protectedName, value), fc.tuple(freeName, value), fc.tuple(freeName, value), special)
const lines = fc.array(line, { maxLength: 20 })

function readOrRefused(list: ReadonlyArray<readonly [string, string]>): RequestHeaders | undefined {
  try {
    return read(['Host', 'a', ...list.flat()])
  } catch (error) {
    expect(error).toBeInstanceOf(RequestInvalidError)
    return undefined
  }
}

function pairs({ fields }: RequestHeaders): Array<[string, string]> {
  return fields.flatMap((text, i) => (i % 2 === 0 ? [[text, fields[i + 1] as string] as [string, string]] : []))
}

test('nothing under the prefix, of a proxy, or for one connection alone is ever among what is forwarded', () => {
  fc.assert(fc.property(lines, (list) => {
    const headers = readOrRefused(list)
    if (!headers) return
    for (const [name] of pairs(headers)) {
      const canonical = canonicalName(name)
      expect(canonical).not.toMatch(/^x-session-/)
      expect(canonical).not.toMatch(/^x-forwarded/)
      expect(['forwarded', 'x-real-ip', 'x-request-id', 'x-original-url', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'content-length', 'host', 'cookie', 'proxy-authorization']).not.toContain(canonical)
    }
  }), { numRuns: 2_000 })
})

test('every other field is forwarded as it came, in order, unless Connection names it', () => {
  fc.assert(fc.property(lines, (list) => {
    const headers = readOrRefused(list)
    if (!headers) return
    const named = new Set(list.filter(([name]) => name.toLowerCase() === 'connection').flatMap(([, names]) => names.split(',').map((name) => name.trim().toLowerCase())))
    const free = list.filter(([name]) => name.startsWith('y') && !named.has(name))
    expect(pairs(headers).filter(([name]) => name.startsWith('y'))).toEqual(free)
  }), { numRuns: 1_000 })
})

test('framing is one plain length, or exactly chunked, or the request is refused', () => {
  const framing = fc.constantFrom('Content-Length', 'content-length', 'Transfer-Encoding', 'TRANSFER-ENCODING')
  const said = fc.oneof(fc.constantFrom('chunked', 'Chunked', 'identity', 'gzip', 'chunked, chunked', '', '5', '05', '+5', '5,5', '-1', '0x5', '99999999999999999999', ' 5'), fc.string({ maxLength: 5 }))
  fc.assert(fc.property(fc.array(fc.tuple(framing, said), { maxLength: 3 }), (list) => {
    const headers = readOrRefused(list)
    if (!headers) return
    expect(list.length).toBeLessThan(2)
    const [only] = list
    expect(headers.isChunked).toBe(only !== undefined && only[0].toLowerCase() === 'transfer-encoding')
    if (headers.isChunked) expect(only![1].toLowerCase()).toBe('chunked')
    else if (only) expect([only[1], headers.contentLength]).toEqual([expect.stringMatching(/^\d{1,15}$/), Number(only[1])])
  }), { numRuns: 2_000 })
})

test('reading is the same every time: nothing of one request is left for the next', () => {
  fc.assert(fc.property(lines, lines, (first, second) => {
    const alone = readOrRefused(second)
    readOrRefused(first)
    expect(readOrRefused(second)).toEqual(alone)
  }))
})
