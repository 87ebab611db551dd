import { expect, test } from 'vitest'
import { canonicalText, compareCodePoints, printJson } from '../../src/adapters/flask/json-printer.ts'
import { parseJson, parseMembers, splitMembers } from '../../src/adapters/flask/lossless-json.ts'
import { floatText } from '../../src/adapters/flask/python-number.ts'

function reprint(text: string): string | undefined {
  const node = parseJson(text)
  return node === undefined ? undefined : printJson(node)
}

test('numbers keep their text', () => {
  const text = '[1.0,1e+16,9007199254740993,-170141183460469231731687303715884105728,NaN,Infinity,-Infinity,-0,-0.0,1E5,0.10]'
  expect(reprint(text)).toBe(text)
})

test('members keep their exact text and order, of duplicates the last wins in the first place', () => {
  const members = splitMembers(' { "b" : 1.0 , "a":[ 1,  2 ]\n,"b": {"x" :NaN} , "__proto__":{"admin":true}}\t')
  expect([...(members ?? [])]).toEqual([['b', '{"x" :NaN}'], ['a', '[ 1,  2 ]'], ['__proto__', '{"admin":true}']])
})

test('__proto__ and constructor are plain data at every level', () => {
  const node = parseJson('{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":1}}}')
  expect(node).toBeInstanceOf(Map)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  expect(node === undefined ? '' : printJson(node)).toBe('{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":1}}}')
})

test.each([
  '', ' ', '{', '}', '[1,]', '{"a":1,}', '{"a" 1}', '{a:1}', "{'a':1}", '01', '1.', '.5', '+1', '-', '-NaN', 'nul', 'nan', 'Infinit', '1 2',
  '"\t"', '"\\x41"', '"\\u12g4"', '"\\u 123"', '"abc', '"\\', '\ufeff{}', '\u00a01', '[1 2]', '[,1]', 'undefined', '1'.repeat(4301),
])('refuses what Python refuses: %j', (text) => {
  expect(parseJson(text)).toBeUndefined()
  expect(parseMembers(text)).toBeUndefined()
})

test.each(['null', '[]', '"a"', '1'])('%s is JSON but has no members', (text) => {
  expect(parseJson(text)).not.toBeUndefined()
  expect(parseMembers(text)).toBeUndefined()
})

test('prints as Python: sorted by code point, ASCII, lower-case escapes, surrogate pairs, / raw, DEL escaped', () => {
  expect(reprint('{"😀":"\\/\\u00E9😀\u007f\\ud800","\uff5e":"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\","z":1}'))
    .toBe('{"z":1,"\\uff5e":"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\","\\ud83d\\ude00":"/\\u00e9\\ud83d\\ude00\\u007f\\ud800"}')
})

test('code points order, not UTF-16 units, lone surrogates included', () => {
  const ordered = ['', 'A', 'a', 'ab', '\ud7ff', '\ud800', '\ud83d', '\ud83da', '\udfff', '\ue000', '\uff5e', '\u{10000}', '\u{1f600}', '\u{1f600}a']
  expect([...ordered].reverse().sort(compareCodePoints)).toEqual(ordered)
})

test.each([
  [1, '1.0'], [0.1, '0.1'], [1e16, '1e+16'], [9999999999999998, '9999999999999998.0'], [1e-4, '0.0001'], [1e-5, '1e-05'], [1.5e300, '1.5e+300'],
  [-0, '-0.0'], [123456789012345680, '1.2345678901234568e+17'], [5e-324, '5e-324'], [NaN, 'NaN'], [-Infinity, '-Infinity'],
])('writes the float %d as %s', (value, text) => {
  expect(floatText(value)).toBe(text)
})

test('canonical text tells a change from a re-formatting', () => {
  expect(canonicalText(' {"b": [1E5, -0],"a":"\u00e9", "a":"\\u00e9"} ')).toBe('{"a":"\\u00e9","b":[100000.0,0]}')
  expect(canonicalText('1.0')).not.toBe(canonicalText('1'))
  expect(canonicalText('not json')).toBe('not json')
})

test.each([
  ['open brackets', '['.repeat(1 << 20)], ['closed brackets', '['.repeat(1 << 19) + ']'.repeat(1 << 19)], ['objects', '{"a":'.repeat(1 << 18)],
  ['empty arrays', `[${'[],'.repeat(349_000)}[]]`], ['empty objects', `[${'{},'.repeat(349_000)}{}]`], ['pairs of brackets', `[${'[[]],'.repeat(209_000)}[]]`],
  ['quotes', '"'.repeat(1 << 20)], ['backslashes', `"${'\\'.repeat(1 << 20)}"`],
  ['escapes', `"${'\\u0041'.repeat(174_000)}"`], ['members', `{${'"a":1,'.repeat(174_000)}"a":1}`],
  ['digits', '1'.repeat(1 << 20)], ['spaces', ' '.repeat(1 << 20)], ['minus signs', '-'.repeat(1 << 20)],
])('a megabyte of %s is dealt with in under 50 ms', (_name, text) => {
  // Of this process's own time, at its best: what neighbours on the machine do does not count.
  const cpuMs = () => process.cpuUsage().user / 1000
  const best = Math.min(...[1, 2, 3, 4, 5].map(() => {
    const startedAt = cpuMs()
    parseJson(text)
    return cpuMs() - startedAt
  }))
  expect(best).toBeLessThan(50)
})

test('depth is limited, not the stack', () => {
  expect(parseJson('['.repeat(1000) + ']'.repeat(1000))).not.toBeUndefined()
  expect(parseJson('['.repeat(1001) + ']'.repeat(1001))).toBeUndefined()
  expect(parseJson('[[]]', 1)).toBeUndefined()
})
