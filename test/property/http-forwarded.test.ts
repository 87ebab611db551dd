import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTrust } from '../../src/http/addresses.ts'
import { addressOf, parseForwarded } from '../../src/http/forwarded-field.ts'
import { ownNames } from '../../src/http/field-names.ts'
import { createRequestHeadersReader } from '../../src/http/request-headers.ts'
import { appendForwarded, publicViewOf } from '../../src/proxy/forwarded.ts'

const token = fc.stringMatching(/^[A-Za-z0-9._:[\]-]{1,10}$/)
const quotable = fc.stringMatching(/^[\x20-\x7e]{0,10}$/)
const element = fc.uniqueArray(fc.tuple(fc.constantFrom('for', 'by', 'host', 'proto', 'ext'), fc.oneof(token.map((text) => [text, text] as const), quotable.map((text) => [text, `"${text.replace(/["\\]/g, '\\$&')}"`] as const))), { minLength: 1, selector: ([name]) => name })

test('what is written is read: any elements, quoted or not, on any number of lines', () => {
  fc.assert(fc.property(fc.array(element, { maxLength: 4 }), fc.constantFrom(',', ', ', ' , ', ',, '), fc.constantFrom(';', '; ', ' ;'), (elements, comma, semicolon) => {
    const texts = elements.map((parameters) => parameters.map(([name, [, written]], i) => `${i % 2 ? name.toUpperCase() : name}=${written}`).join(semicolon))
    const expected = elements.map((parameters) => new Map(parameters.map(([name, [value]]) => [name, value])))
    expect(parseForwarded([texts.join(comma)])).toEqual(expected)
    expect(parseForwarded(texts)).toEqual(expected)
  }), { numRuns: 1_000 })
})

test('anything else is refused whole, and nothing throws or takes long', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom('for=', '1.2.3.4', '"', '\\', ',', ';', ' ', '=', 'x', '\xff', '[', '"a"'), { maxLength: 30 }), (pieces) => {
    const result = parseForwarded([pieces.join('')])
    expect(result === undefined || Array.isArray(result)).toBe(true)
  }), { numRuns: 2_000 })
  const started = performance.now()
  for (const unit of [';', ',', ' ', '"', '\\', 'a=', 'a="', 'a=b;', '\t,']) parseForwarded([unit.repeat(8_000)])
  expect(performance.now() - started).toBeLessThan(2_000)
})

test('an address keeps its address', () => {
  fc.assert(fc.property(fc.ipV4(), fc.ipV6(), fc.nat(65_535), (four, six, port) => {
    expect([addressOf(four), addressOf(`${four}:${port}`), addressOf(six), addressOf(`[${six}]`), addressOf(`[${six}]:${port}`)]).toEqual([four, four, six, six, six])
  }))
})

const read = createRequestHeadersReader(ownNames('X-Session-'))
const isTrusted = createTrust(['10.0.0.0/8'])
const said = fc.array(fc.tuple(fc.constantFrom('X-Forwarded-For', 'x-forwarded-host', 'X-Forwarded-Proto', 'Forwarded', 'X-Forwarded-Other', 'Via'), fc.stringMatching(/^[\x21-\x7e ]{0,20}$/)), { maxLength: 6 })

test('an untrusted peer changes nothing of what the upstream is told', () => {
  fc.assert(fc.property(said, (lines) => {
    const peer = { address: '192.0.2.1', isTls: false, isTrusted: false }
    const told = (list: string[]): string[] => {
      const headers = read(['Host', 'a', ...list])
      const fields: string[] = []
      appendForwarded(fields, { ...headers, via: [] }, peer, publicViewOf(headers, peer, isTrusted), { via: '1.1 g', strippedPrefix: undefined })
      return fields
    }
    expect(told(lines.flat())).toEqual(told([]))
  }))
})

test('whatever a trusted proxy says: each field is told once, valid, and ends with what we saw ourselves', () => {
  fc.assert(fc.property(said, (lines) => {
    const peer = { address: '10.0.0.1', isTls: true, isTrusted: true }
    const headers = read(['Host', 'a', ...lines.flat()])
    const view = publicViewOf(headers, peer, isTrusted)
    const fields: string[] = []
    appendForwarded(fields, headers, peer, view, { via: '1.1 g', strippedPrefix: undefined })
    for (const name of ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded', 'Via']) expect(fields.filter((text, i) => i % 2 === 0 && text === name)).toHaveLength(1)
    const valueOf = (name: string): string => fields[fields.indexOf(name) + 1] as string
    expect(valueOf('X-Forwarded-For')).toMatch(/(^|, )10\.0\.0\.1$/)
    expect(valueOf('X-Forwarded-Proto')).toMatch(/^https?$/)
    expect(valueOf('X-Forwarded-Host')).toMatch(/^[A-Za-z0-9._~:[\]-]+$/)
    expect(valueOf('Via')).toMatch(/1\.1 g$/)
  }), { numRuns: 1_000 })
})
