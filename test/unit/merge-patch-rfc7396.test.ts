import { describe, expect, test } from 'vitest'
import { mergeObject, mergePatch } from '../../src/session/merge-patch.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'

const json = (text: string): Json => JSON.parse(text) as Json

describe('the examples of RFC 7396, appendix A', () => {
  const rows: [target: string, patch: string, result: string][] = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', 'null', 'null'],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ]
  test.each(rows)('%s patched with %s is %s', (target, patch, result) => {
    expect(mergePatch(json(target), json(patch))).toEqual(json(result))
  })
})

test('the example of RFC 7396, section 3', () => {
  const target = { title: 'Goodbye!', author: { givenName: 'John', familyName: 'Doe' }, tags: ['example', 'sample'], content: 'This will be unchanged' }
  const patch = { title: 'Hello!', phoneNumber: '+01-123-456-7890', author: { familyName: null }, tags: ['example'] }
  expect(mergeObject(target, patch)).toEqual({
    title: 'Hello!', author: { givenName: 'John' }, tags: ['example'], content: 'This will be unchanged', phoneNumber: '+01-123-456-7890',
  })
})

test('neither target nor patch is changed', () => {
  const target = { a: { b: 1 } }
  const patch = { a: { c: 2 }, d: null }
  mergeObject(target, patch)
  expect([target, patch]).toEqual([{ a: { b: 1 } }, { a: { c: 2 }, d: null }])
})

test('names of Object.prototype are plain members: set, merged and removed like any other', () => {
  const set = mergeObject({}, json('{"__proto__":{"a":1},"constructor":{"prototype":{"x":1}},"toString":1}') as JsonObject)
  expect(JSON.stringify(set)).toBe('{"__proto__":{"a":1},"constructor":{"prototype":{"x":1}},"toString":1}')
  const merged = mergeObject(set, json('{"__proto__":{"b":2},"toString":null}') as JsonObject)
  expect(JSON.stringify(merged)).toBe('{"__proto__":{"a":1,"b":2},"constructor":{"prototype":{"x":1}}}')
  expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
  expect(({} as { x?: number }).x).toBeUndefined()
})

test('nulls inside arrays are values', () => {
  expect(mergeObject({ a: [1] }, { a: [null, { b: null }] })).toEqual({ a: [null, { b: null }] })
})
