import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNodeReader, type NodeReader } from '../support/node-client-reader.ts'
import { cutAt, readResponse } from '../support/read-responses.ts'

const latin1 = (pattern: RegExp, maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)).filter((character) => pattern.test(character)), { maxLength }).map((all) => all.join(''))
const space = fc.constantFrom('', ' ', '\t', ' \t ')
const token = fc.string({ unit: fc.constantFrom(...'!#$%&\'*+-.^_`|~09azAZ'), minLength: 1, maxLength: 12 })
const value = latin1(/[\t\x20-\x7e\x80-\xff]/, 20).map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))
const FRAMING = /^(?:content-length|transfer-encoding|connection|keep-alive|upgrade)$/i
const field = fc.tuple(fc.oneof(token, fc.constantFrom('Set-Cookie', 'X-Session-Patch', '__proto__')).filter((name) => !FRAMING.test(name)), value)
const fields = fc.array(field, { maxLength: 5 })
const content = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const places = fc.array(fc.nat(2_000), { maxLength: 40 })

interface Sent {
  readonly bytes: string
  readonly headers: readonly string[]
  readonly body: string
  readonly ending: 'open' | 'over'
}

type Framing = (body: string) => fc.Arbitrary<{ readonly field: readonly [string, string] | undefined; readonly bytes: string; readonly ending: 'open' | 'over' }>

const byLength: Framing = (body) => fc.tuple(fc.constantFrom('Content-Length', 'content-length'), fc.constantFrom('', '0', '000')).map(([name, zeros]) =>
  ({ field: [name, `${zeros}${body.length}`] as const, bytes: body, ending: 'open' as const }))

const untilClose: Framing = (body) => fc.constant({ field: undefined, bytes: body, ending: 'over' as const })

const extension = fc.tuple(token, fc.option(fc.oneof(token, latin1(/[\x20\x21\x23-\x5b\x5d-\x7e]/, 8).map((text) => `"${text}"`)))).map(([name, said]) => said === null ? `;${name}` : `;${name}=${said}`)
const sizeForm = fc.record({ zeros: fc.constantFrom('', '0', '00000'), isUpper: fc.boolean(), extensions: fc.array(extension, { maxLength: 2 }) })

const inChunks: Framing = (body) => fc.record({
  cuts: fc.array(fc.nat(200), { maxLength: 6 }), forms: fc.array(sizeForm, { minLength: 8, maxLength: 8 }), trailers: fields, name: fc.constantFrom('Transfer-Encoding', 'transfer-encoding'), coding: fc.constantFrom('chunked', 'Chunked', 'CHUNKED'),
}).map(({ cuts, forms, trailers, name, coding }) => {
  const line = (size: number, { zeros, isUpper, extensions } = forms[0] as (typeof forms)[number]): string => {
    const digits = size.toString(16)
    return `${zeros}${isUpper ? digits.toUpperCase() : digits}${extensions.join('')}\r\n`
  }
  const chunks = cutAt(Buffer.from(body, 'latin1'), cuts).filter(({ length }) => length > 0).map((chunk, i) => `${line(chunk.length, forms[i + 1])}${chunk.toString('latin1')}\r\n`)
  const bytes = `${chunks.join('')}${line(0)}${trailers.map(([key, said]) => `${key}: ${said}\r\n`).join('')}\r\n`
  return { field: [name, coding] as const, bytes, ending: 'open' as const }
})

const interim = fc.tuple(fc.constantFrom(100, 102, 103, 199), fields)

/** A response and what must be read of it. */
const response: fc.Arbitrary<Sent & { readonly status: number; readonly reason: string; readonly interims: readonly { status: number; headers: string[] }[] }> = fc.tuple(
  content.chain((body) => fc.tuple(fc.constant(body), fc.oneof(byLength(body), inChunks(body), untilClose(body)))),
  fc.constantFrom(200, 201, 206, 301, 404, 418, 500, 599), fc.option(latin1(/[\t\x20-\x7e\x80-\xff]/, 12)), fields, fields, fc.array(space, { minLength: 24, maxLength: 24 }), fc.array(interim, { maxLength: 2 }),
).map(([[body, framing], status, reason, before, after, spaces, interims]) => {
  const all = [...before, ...(framing.field ? [framing.field] : []), ...after]
  const framingAt = framing.field ? before.length : -1
  // node:http takes no tab before or after a length; there is a row for it.
  const line = ([name, said]: readonly [string, string], i: number): string => `${name}:${i === framingAt ? ' ' : spaces[i * 2]}${said}${i === framingAt ? '' : spaces[i * 2 + 1]}\r\n`
  const first = interims.map(([code, hints]) => `HTTP/1.1 ${code} Soon\r\n${hints.map(([name, said]) => `${name}: ${said}\r\n`).join('')}\r\n`).join('')
  return {
    bytes: `${first}HTTP/1.1 ${status}${reason === null ? '' : ` ${reason}`}\r\n${all.map(line).join('')}\r\n${framing.bytes}`,
    status, reason: reason ?? '', headers: all.flat(), body, ending: framing.ending, interims: interims.map(([code, hints]) => ({ status: code, headers: hints.flat() })),
  }
})

const WORDS = [
  '\r\n', '\r', '\n', '\r\n\r\n', '\0', ' ', '\t', ':', ';', '"', ',', '0', '1', 'f', '-', '+', '\x7f', '\xa0', 'HTTP/1.0', 'HTTP/1.1 ', '200', '204', '304', '103 ', 'HEAD', '0\r\n\r\n', 'ffffffffffffffff',
  '\r\nContent-Length: 3', '\r\nContent-Length: 3\r\n', '\r\nTransfer-Encoding: chunked', '\r\nConnection: close', '\r\nConnection: keep-alive', '\r\n ', 'chunked', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
]
type Change = (text: string) => string

const spliced: fc.Arbitrary<Change> = fc.record({ at: fc.nat(400), removes: fc.nat(6), word: fc.constantFrom('', ...WORDS) }).map(({ at, removes, word }) => (text) => {
  const place = at % (text.length + 1)
  return text.slice(0, place) + word + text.slice(place + removes)
})
/** At the end of a line, or at the beginning of the next. */
const extended: fc.Arbitrary<Change> = fc.record({ line: fc.nat(20), past: fc.constantFrom(0, 2), removes: fc.constantFrom(0, 0, 1, 2), word: fc.constantFrom(...WORDS) }).map(({ line, past, removes, word }) => (text) => {
  const ends = [...text.matchAll(/\r\n/g)].map(({ index }) => index)
  const place = (ends[line % ends.length] ?? 0) + past
  return text.slice(0, place) + word + text.slice(place + removes)
})
const repeated: fc.Arbitrary<Change> = fc.record({ from: fc.nat(20), to: fc.nat(20) }).map(({ from, to }) => (text) => {
  const lines = text.split('\r\n')
  lines.splice(to % lines.length, 0, lines[from % lines.length] as string)
  return lines.join('\r\n')
})
const restated: fc.Arbitrary<Change> = fc.constantFrom('1.1 204', '1.1 304', '1.1 103', '1.1 101', '1.0 200', '1.0 304').map((said) => (text) => text.replace(/1\.[01] [2-5]\d\d/, said))
/** Responses with a few things changed: mostly refused, now and then taken for another. */
const mutant = fc.tuple(response, fc.array(fc.oneof(spliced, extended, repeated, restated), { maxLength: 3 })).map(([{ bytes }, changes]) => changes.reduce((text, change) => change(text), bytes))
const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD')

test('what was sent is what is read, however it was cut', () => {
  fc.assert(fc.property(response, places, ({ bytes, ...sent }, cuts) => {
    const { error, ...read } = readResponse(cutAt(Buffer.from(bytes, 'latin1'), cuts))
    expect(error).toBeUndefined()
    expect(read).toEqual(sent)
  }), { numRuns: 2_000 })
})

test('whatever comes is the same however it was cut, and refused by errors of its own alone', () => {
  fc.assert(fc.property(mutant, method, places, fc.integer({ min: 60, max: 400 }), (text, verb, cuts, maxHeadBytes) => {
    const bytes = Buffer.from(text, 'latin1')
    const { error: _error, ...whole } = readResponse([bytes], { method: verb, maxHeadBytes })
    for (const pieces of [cutAt(bytes, cuts), [...bytes].map((byte) => Buffer.of(byte))]) expect(readResponse(pieces, { method: verb, maxHeadBytes })).toMatchObject(whole)
  }), { numRuns: 1_500 })
})

let node: NodeReader
beforeAll(async () => { node = await startNodeReader() })
afterAll(() => node.close())

/**
 * Where node:http's client refuses what we take, or takes it for something else, and RFC 9112 leaves no doubt what it means. Each has
 * its row in test/unit/response-reader.test.ts; nothing may be added here without one.
 */
const READ_OTHERWISE: Readonly<Record<string, RegExp>> = {
  'white space and extensions of any kind after a chunk size': /\r\n[0-9A-Fa-f]+(?=[\t ;])(?!(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))?)*\r)/,
  'tabs around a length or a coding': /(?:content-length|transfer-encoding):(?: *\t|[^\r]*\t *\r)/i,
  'framing in trailers': /\r\n0[^\r\n]*\r\n(?:[^\r\n]+\r\n)*(?:content-length|transfer-encoding):/i,
  'an interim response of HTTP/1.0, or one that says close': /HTTP\/1\.0 1|HTTP\/1\.. 1[^]*connection:/i,
}

test('wherever we read a response, node:http\'s client reads the same one; where we see no end, it sees none either', async () => {
  await fc.assert(fc.asyncProperty(fc.oneof({ arbitrary: response.map(({ bytes }) => bytes), weight: 1 }, { arbitrary: mutant, weight: 3 }), method, async (text, verb) => {
    const bytes = Buffer.from(text, 'latin1')
    const ours = readResponse([bytes], { method: verb })
    if (ours.ending === 'refused') return
    const theirs = await node.read(bytes, verb)
    if (Object.values(READ_OTHERWISE).some((known) => known.test(text))) return
    expect(theirs).toEqual(ours.ending === 'incomplete' ? 'refused' : { status: ours.status, reason: ours.reason, headers: ours.headers, body: ours.body })
  }), { numRuns: 2_500 })
})
