import fc from 'fast-check'
import type { Json, JsonObject } from '../../src/session/session.ts'

const AWKWARD = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'toJSON', '', '0', '-1', 'a.b', '*', '\u2028', '😀']

/** Member names: ordinary, awkward, and whatever Unicode has (no lone surrogates). */
export const jsonName = fc.oneof(fc.constantFrom('a', 'b', 'c', 'user', 'id'), fc.constantFrom(...AWKWARD), fc.string({ unit: 'binary', maxLength: 6 }))

const scalar = fc.oneof(
  fc.constant(null), fc.boolean(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  fc.maxSafeInteger(), fc.string({ unit: 'binary', maxLength: 12 }),
)

function valueOf(leaf: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  return fc.letrec<{ value: Json; list: Json[]; object: JsonObject }>((tie) => ({
    value: fc.oneof({ maxDepth: 4, depthSize: 'small' }, leaf, tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    object: membersOf(tie('value')),
  })).value
}

function membersOf(value: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> {
  return fc.uniqueArray(fc.tuple(jsonName, value), { maxLength: 5, selector: ([name]) => name }).map((members) => Object.fromEntries(members))
}

/** Any JSON value a session can hold. */
export const jsonValue: fc.Arbitrary<Json> = valueOf(scalar)
export const jsonObject: fc.Arbitrary<JsonObject> = membersOf(jsonValue)
