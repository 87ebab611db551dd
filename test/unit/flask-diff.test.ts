import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyDiff, diffMembers, isEmptyDiff } from '../../src/adapters/flask/diff.ts'

const members = (entries: Record<string, string>) => new Map(Object.entries(entries))

test('nested changes count, re-formatting does not', () => {
  const sent = members({ cart: '{"b":[1, 2.0],"a":"\u00e9"}', n: '1e5', same: '[1]' })
  const returned = members({ n: '100000.0', cart: '{"a":"\\u00e9","b":[1,2.0]}', same: '[1]' })
  expect(isEmptyDiff(diffMembers(sent, returned))).toBe(true)

  const deeper = diffMembers(sent, members({ ...Object.fromEntries(returned), cart: '{"a":"\\u00e9","b":[1,2]}' }))
  expect([...deeper.set.keys()]).toEqual(['cart'])
})

test('parallel requests keep both changes, and untouched members keep their bytes', () => {
  const sent = members({ a: '1', b: '2', raw: '{ "x" : 1.0 }' })
  const first = diffMembers(sent, members({ a: '10', b: '2', raw: '{"x":1.0}' }))
  const second = diffMembers(sent, members({ a: '1', raw: '{"x":1.0}', c: '3' }))
  const merged = { a: '10', raw: '{ "x" : 1.0 }', c: '3' }
  expect(Object.fromEntries(applyDiff(applyDiff(sent, first), second))).toEqual(merged)
  expect(Object.fromEntries(applyDiff(applyDiff(sent, second), first))).toEqual(merged)
})

test('a member both changed goes to the later commit, one removed elsewhere does not come back', () => {
  const sent = members({ a: '1', gone: '1' })
  const diff = diffMembers(sent, members({ a: '2', gone: '1' }))
  expect(Object.fromEntries(applyDiff(members({ a: '3' }), diff))).toEqual({ a: '2' })
})

test('__proto__ is a member like any other', () => {
  const diff = diffMembers(new Map(), new Map([['__proto__', '{"admin":true}']]))
  expect([...applyDiff(new Map(), diff)]).toEqual([['__proto__', '{"admin":true}']])
})

const anyMembers = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 3 }), fc.json({ maxDepth: 2 })), { selector: ([name]) => name, maxLength: 6 })
  .map((entries) => new Map(entries))

test('applying the difference to what was sent gives what was returned, twice too', () => {
  fc.assert(fc.property(anyMembers, anyMembers, (sent, returned) => {
    const diff = diffMembers(sent, returned)
    const once = applyDiff(sent, diff)
    expect(isEmptyDiff(diffMembers(once, returned)) && isEmptyDiff(diffMembers(returned, once))).toBe(true)
    expect([...applyDiff(once, diff)]).toEqual([...once])
  }))
})

test('changes of different members commute on any fresher session', () => {
  fc.assert(fc.property(anyMembers, anyMembers, anyMembers, (sent, returned, fresh) => {
    const mine = diffMembers(sent, returned)
    const theirs = new Map([...fresh].filter(([name]) => !mine.set.has(name) && !mine.removed.has(name)))
    const merged = applyDiff(fresh, mine)
    for (const [name, text] of theirs) expect(merged.get(name)).toBe(text)
    for (const [name, text] of mine.set) expect(merged.get(name)).toBe(text)
    for (const name of mine.removed) expect(merged.has(name)).toBe(false)
  }))
})
