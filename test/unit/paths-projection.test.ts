import { describe, expect, test } from 'vitest'
import { isPatchWithin, isSameJson, parsePath, project, valueAt } from '../../src/session/paths.ts'
import type { Json, JsonObject } from '../../src/session/session.ts'

const DATA = { user: { id: 'ann', roles: ['a'], address: { city: 'Ulm', zip: '1' } }, cart: { items: [1, 2] }, csrf: 'x' }

test.each([['user.id', ['user', 'id']], ['cart.*', ['cart']], ['cart', ['cart']], ['*', []], ['a.b.*', ['a', 'b']]])('the path %s', (text, path) => {
  expect(parsePath(text)).toEqual(path)
})

describe('projection', () => {
  const rows: [paths: string[], kept: JsonObject][] = [
    [['*'], DATA],
    [['csrf', '*'], DATA],
    [['user'], { user: DATA.user }],
    [['user.*'], { user: DATA.user }],
    [['user.id'], { user: { id: 'ann' } }],
    [['user.id', 'user.address.city', 'cart'], { user: { id: 'ann', address: { city: 'Ulm' } }, cart: DATA.cart }],
    [['user', 'user.id'], { user: DATA.user }],
    [['user.id.deeper'], {}],
    [['user.roles.0'], {}],
    [['nobody', 'user.nothing'], {}],
    [['__proto__', 'constructor', 'user.toString'], {}],
    [[], {}],
  ]
  test.each(rows)('%j', (paths, kept) => expect(project(DATA, paths.map(parsePath))).toEqual(kept))

  test('own members of any name can be exposed', () => {
    const data = JSON.parse('{"__proto__":{"a":1,"b":2},"x":1}') as JsonObject
    expect(JSON.stringify(project(data, [['__proto__', 'a']]))).toBe('{"__proto__":{"a":1}}')
  })
})

describe('patches within what a route may write', () => {
  const rows: [paths: string[], patch: JsonObject, allowed: boolean][] = [
    [['*'], { anything: { at: 'all' } }, true],
    [[], {}, true],
    [[], { a: 1 }, false],
    [['cart'], { cart: { items: [] } }, true],
    [['cart'], { cart: null }, true],
    [['cart.items'], { cart: { items: null } }, true],
    [['cart.items'], { cart: { items: [1], total: 2 } }, false],
    [['cart.items'], { cart: null }, false],
    [['cart.items'], { cart: 'gone' }, false],
    [['cart.items'], { cart: [] }, false],
    [['cart', 'csrf'], { cart: 1, csrf: 2 }, true],
    [['cart', 'csrf'], { cart: 1, user: { id: 'eve' } }, false],
    [['cart'], { cartoon: 1 }, false],
    [['a.b'], JSON.parse('{"__proto__":{"b":1}}') as JsonObject, false],
  ]
  test.each(rows)('%j lets %j pass: %s', (paths, patch, allowed) => expect(isPatchWithin(patch, paths.map(parsePath))).toBe(allowed))
})

describe('the value at a path', () => {
  test.each([['user.id', 'ann'], ['user.address.city', 'Ulm'], ['user.roles.0', undefined], ['user.id.length', undefined], ['toString', undefined], ['user.constructor', undefined]])('%s', (path, value) => {
    expect(valueAt(DATA, parsePath(path))).toBe(value)
  })
})

describe('same JSON', () => {
  const rows: [a: Json | undefined, b: Json | undefined, same: boolean][] = [
    [{ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
    [[1, 2], [2, 1], false], [[], {}, false], [{}, [], false], [null, undefined, false], [undefined, undefined, true], ['1', 1, false],
    [{ a: 1 }, { b: 1 }, false], [{ a: undefined as unknown as Json }, {}, false], [null, {}, false], [[1], [1, 2], false],
    [JSON.parse('{"__proto__":1}') as Json, {}, false],
  ]
  test.each(rows)('%j and %j: %s', (a, b, same) => expect(isSameJson(a, b)).toBe(same))
})
