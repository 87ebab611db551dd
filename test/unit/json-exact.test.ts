import { describe, expect, test } from 'vitest'
import { isExactNumber, isWithinLimits, JsonFaultError, parseExactJson, parseExactObject, type JsonFault } from '../../src/session/json.ts'
import type { Json } from '../../src/session/session.ts'

const LIMITS = { maxDepth: 16, maxMembers: 1_000 }

function faultOf(text: string, limits = LIMITS): JsonFault | 'accepted' {
  try {
    parseExactJson(text, limits)
    return 'accepted'
  } catch (error) {
    if (error instanceof JsonFaultError) return error.fault
    throw error
  }
}

describe('numbers: exact or refused', () => {
  const exact = [
    '0', '1', '-1', '123456789012345', '999999999999999', '1234567890123456', '9007199254740991', '-9007199254740991',
    '9007199254740992', '9007199254740994', '0.1', '-0.5', '1.0', '100', '1e2', '1E+2', '1.5e300', '1e21', '123e-20', '5e-324', '1.7976931348623157e308',
    '0.000001', '0e0', '0.0', '1.50000', '0e999999999999999999999', '12345678901234567000', '0.30000000000000004',
  ]
  test.each(exact)('%s is kept', (text) => {
    expect(isExactNumber(text)).toBe(true)
    expect(parseExactJson(text, LIMITS)).toBe(Number(text))
  })

  const inexact = [
    '9007199254740993', '-9007199254740993', '12345678901234567890', '1e400', '-1e400', '1e-400', '4e-325', '-0', '-0.0', '-0e5',
    '0.1000000000000000055', '0.10000000000000000555111512312578270211815834045410156250', '3.14159265358979323846', '1e309',
    `1${'0'.repeat(400)}`, `0.${'0'.repeat(400)}1`,
  ]
  test.each(inexact)('%s is refused', (text) => {
    expect(isExactNumber(text)).toBe(false)
    expect(faultOf(text)).toBe('number')
  })

  test.each(['01', '+1', '.5', '1.', '1e', '0x10', 'NaN', 'Infinity', '-', '--1', '1_000', '1e+', '٣'])('%s is no JSON number', (text) => {
    expect(faultOf(text)).toBe('json')
  })

  test('a number of half a million digits is judged in linear time', () => {
    const startedAt = performance.now()
    expect(faultOf(`1${'0'.repeat(250_000)}1${'0'.repeat(250_000)}`)).toBe('number')
    expect(faultOf(`0.1${'0'.repeat(250_000)}1`)).toBe('number')
    expect(faultOf(`1.${'0'.repeat(500_000)}`)).toBe('accepted')
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})

describe('texts that are not this JSON', () => {
  const rows: [text: string, fault: JsonFault][] = [
    ['', 'json'], [' ', 'json'], ['{', 'json'], ['{"a"}', 'json'], ['{"a":}', 'json'], ['{"a":1,}', 'json'], ['[1,]', 'json'], ['{a:1}', 'json'],
    ["{'a':1}", 'json'], ['{"a":1}}', 'json'], ['{"a":1} x', 'json'], ['nul', 'json'], ['True', 'json'], ['undefined', 'json'], ['"', 'json'],
    ['"\\"', 'json'], ['"\\x41"', 'json'], ['"\\u12"', 'json'], ['"a\tb"', 'json'], ['"a\nb"', 'json'], ['"\u0000"', 'json'], ['/**/1', 'json'],
    ['\ufeff{}', 'json'], ['\u00a0{}', 'json'], ['{"a":1,"a":2}', 'json'], ['{"a":1,"\\u0061":2}', 'json'], ['{"x":{"b":1,"b":1}}', 'json'],
    ['"\\ud800"', 'json'], ['"\\udc00\\ud800"', 'json'], ['{"\\udfff":1}', 'json'], ['"\ud800"', 'json'],
    [`${'['.repeat(17)}${']'.repeat(17)}`, 'depth'], [`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`, 'depth'],
    [`[${'0,'.repeat(1_000)}0]`, 'members'],
  ]
  test.each(rows)('%j is refused as %s', (text, fault) => expect(faultOf(text)).toBe(fault))

  test.each(['null', 'true', '1', '"x"', '[]', '[{}]'])('%s is not an object', (text) => {
    expect(() => parseExactObject(text, LIMITS)).toThrow(expect.objectContaining({ fault: 'type' }))
  })
})

describe('values that must come back as they were', () => {
  const rows: [what: string, value: Json][] = [
    ['line separators', { '\u2028': '\u2029' }],
    ['astral characters and escapes', { 'k"\\/': '😀\u0000\b\f\n\r\t\u001f\u007f\uffff' }],
    ['an empty name', { '': { '': '' } }],
    ['empty containers', { a: {}, b: [], c: '' }],
    ['nested nulls', { a: [null, { b: null }] }],
    ['names of Object.prototype', JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":1},"toString":0,"hasOwnProperty":[],"valueOf":null,"toJSON":"x"}') as Json],
    ['the deepest that is allowed', JSON.parse(`${'{"a":'.repeat(16)}1${'}'.repeat(16)}`) as Json],
  ]
  test.each(rows)('%s', (_what, value) => {
    const text = JSON.stringify(value)
    expect(JSON.stringify(parseExactJson(text, LIMITS))).toBe(text)
  })

  test('__proto__ is an own member and changes no prototype', () => {
    const parsed = parseExactObject('{"__proto__":{"polluted":true},"a":{"constructor":{"prototype":{"polluted":true}}}}', LIMITS)
    expect(Object.hasOwn(parsed, '__proto__')).toBe(true)
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

test.each([
  ['brackets', '['.repeat(1_000_000)],
  ['braces', '{"a":'.repeat(200_000)],
  ['an unterminated string of quotes', `"${'\\"'.repeat(500_000)}`],
  ['backslashes', `"${'\\'.repeat(1_000_001)}`],
  ['white space', ' '.repeat(1_000_000)],
  ['elements', `[${'1,'.repeat(500_000)}1]`],
  ['digits', '9'.repeat(1_000_000)],
])('a megabyte of %s is refused in under 50 ms', (_what, text) => {
  expect(Math.min(...[1, 2, 3, 4, 5].map(() => cpuMsOf(() => expect(faultOf(text)).not.toBe('accepted'))))).toBeLessThan(50)
})

/** CPU of this process, so that a busy machine does not count; the best of several runs leaves compilation out. */
function cpuMsOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

test('isWithinLimits counts members of every level and the depth of containers', () => {
  const limits = { maxDepth: 2, maxMembers: 4 }
  expect(isWithinLimits({ a: [1, 2], b: 1 }, limits)).toBe(true)
  expect(isWithinLimits({ a: [1, 2, 3], b: 1 }, limits)).toBe(false)
  expect(isWithinLimits({ a: [[]] }, limits)).toBe(false)
})
