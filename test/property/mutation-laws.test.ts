import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MutationRefusedError } from '../../src/errors.ts'
import { mergeObject } from '../../src/session/merge-patch.ts'
import { readMutation } from '../../src/session/mutation.ts'
import { isPatchWithin, project, type DataPath } from '../../src/session/paths.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/session/session.ts'
import { jsonName, jsonObject } from '../support/json-arbitrary.ts'
import { ANY_MUTATION } from '../support/session-harness.ts'

const RUNS = { numRuns: 500 }
const text = (value: Json): string => JSON.stringify(sorted(value))
/** Members in one order, so that texts compare as values. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return (value as Json[]).map(sorted)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([name, item]) => [name, sorted(item)]))
}
const top = (data: JsonObject, names: ReadonlySet<string>, isIn: boolean): JsonObject => Object.fromEntries(Object.entries(data).filter(([name]) => names.has(name) === isIn))

test('the same patch twice is the same patch once', () => {
  fc.assert(fc.property(jsonObject, jsonObject, (data, patch) => {
    const once = mergeObject(data, patch)
    expect(text(mergeObject(once, patch))).toBe(text(once))
  }), RUNS)
})

test('patches of different members commute, so their order does not matter', () => {
  fc.assert(fc.property(jsonObject, jsonObject, jsonObject, (data, one, rest) => {
    const names = new Set(Object.keys(one))
    const other = top(rest, names, false)
    expect(text(mergeObject(mergeObject(data, one), other))).toBe(text(mergeObject(mergeObject(data, other), one)))
  }), RUNS)
})

test('disjoint below a common object they commute too', () => {
  fc.assert(fc.property(jsonObject, jsonObject, jsonObject, (data, one, rest) => {
    const other = top(rest, new Set(Object.keys(one)), false)
    const [a, b] = [{ shared: one }, { shared: other }]
    const base = { ...data, shared: {} }
    expect(text(mergeObject(mergeObject(base, a), b))).toBe(text(mergeObject(mergeObject(base, b), a)))
  }), RUNS)
})

test('members the patch does not name are left as they are; named nulls are gone', () => {
  fc.assert(fc.property(jsonObject, jsonObject, (data, patch) => {
    const names = new Set(Object.keys(patch))
    const merged = mergeObject(data, patch)
    expect(text(top(merged, names, false))).toBe(text(top(data, names, false)))
    for (const [name, value] of Object.entries(patch)) expect(Object.hasOwn(merged, name)).toBe(value !== null)
  }), RUNS)
})

test('a patch within what is writable changes nothing that is not, where objects lie on the way', () => {
  const paths: fc.Arbitrary<DataPath[]> = fc.array(fc.array(jsonName, { minLength: 1, maxLength: 2 }), { maxLength: 3 })
  fc.assert(fc.property(jsonObject, jsonObject, paths, (data, patch, writable) => {
    if (!isPatchWithin(patch, writable)) return
    const merged = mergeObject(data, patch)
    const reachable = new Set(writable.map(([name]) => name as string))
    expect(text(top(merged, reachable, false))).toBe(text(top(data, reachable, false)))
  }), RUNS)
})

test('a projection is part of the data, is its own projection, and shows nothing else', () => {
  const paths: fc.Arbitrary<DataPath[]> = fc.array(fc.array(jsonName, { minLength: 1, maxLength: 3 }), { maxLength: 4 })
  fc.assert(fc.property(jsonObject, paths, (data, expose) => {
    const part = project(data, expose)
    expect(text(project(part, expose))).toBe(text(part))
    expect(text(mergeObject(data, withoutNulls(part)))).toBe(text(data))
    const roots = new Set(expose.map(([name]) => name))
    expect(Object.keys(part).every((name) => roots.has(name))).toBe(true)
  }), RUNS)
})

/** A merge patch cannot say null. */
function withoutNulls(data: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null).map(([name, value]) => [name, isJsonObject(value) ? withoutNulls(value) : value]))
}

test('any two header values are read whole or refused with a reason', () => {
  const junk = fc.string({ unit: 'binary-ascii', maxLength: 40 })
  const value = fc.oneof(
    junk, jsonObject.map((patch) => JSON.stringify(patch)), jsonObject.map((patch) => Buffer.from(JSON.stringify(patch)).toString('base64url')),
    fc.tuple(jsonObject, junk, fc.nat()).map(([patch, insert, at]) => JSON.stringify(patch).slice(0, at % 50) + insert),
  )
  const directive = fc.oneof(fc.constantFrom('destroy', 'rotate', 'clear', 'replace', 'permanent', 'transient', 'idle=5', 'absolute=9', 'if-version=v', ''), junk)
  fc.assert(fc.property(fc.array(value, { maxLength: 2 }), fc.array(directive, { maxLength: 3 }), (patch, control) => {
    try {
      expect(['none', 'change', 'destroy']).toContain(readMutation({ patch, control }, ANY_MUTATION).kind)
    } catch (error) {
      expect(error).toBeInstanceOf(MutationRefusedError)
      expect((error as Error).message).toMatch(/^[\x20-\x7e]*$/)
    }
  }), { numRuns: 2_000 })
})
