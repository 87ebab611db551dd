import assert from 'node:assert/strict'
import { isWithinLimits, JsonFaultError, parseExactJson } from '../../../src/session/json.ts'
import type { Json } from '../../../src/session/session.ts'
import { unlessRefused, type FuzzedParser } from '../parser.ts'

const LIMITS = { maxDepth: 32, maxMembers: 200 }

/** What is read is what JSON.parse reads, and comes back exactly; what JSON.parse refuses is refused. */
export const parser: FuzzedParser = {
  seeds: ['{}', '{"a":[1,2.5,-3e2,true,false,null],"b":{"c":"\\u00e9\\ud83d\\ude00\\n"}}', '[1e400]', '-0', '"\\ud800"', '{"a":1,"a":2}', '12345678901234567890', '0.1000', '[[[[[[]]]]]]', '{"__proto__":{"x":1}}', '"\u2028"', ' [ 1 , 2 ] '],
  words: ['{', '}', '[', ']', '":', ',', '"', 'true', 'false', 'null', '1e', 'e-', '0.', '-', '\\u', '\\ud83d', '\\ude00', '\\', '"__proto__":', '9007199254740993', '1e308', '5e-324', '0'.repeat(20), '\u2028', '\ufeff'],
  check(input) {
    const text = input.toString()
    const value = unlessRefused((error) => error instanceof JsonFaultError, () => ({ json: parseExactJson(text, LIMITS) }))
    if (!value) return
    assert.deepStrictEqual(value.json, JSON.parse(text))
    assert.ok(isWithinLimits(value.json, LIMITS))
    assert.deepStrictEqual(parseExactJson(JSON.stringify(value.json), LIMITS), value.json)
    assert.equal(({} as { readonly x?: Json }).x, undefined)
  },
}
