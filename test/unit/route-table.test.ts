import { describe, expect, test } from 'vitest'
import { RequestInvalidError, RouteNotFoundError } from '../../src/errors.ts'
import { createRouteTable, type Route, type RouteTable } from '../../src/gateway/route.ts'
import { parseTarget } from '../../src/gateway/target.ts'

function tableOf(...paths: string[]): RouteTable {
  return createRouteTable(paths.map((text) => {
    const [, host, path] = /^([^/]*)(\/.*)$/.exec(text)!
    return { name: text, host: host === '' ? undefined : host, path } as Route
  }))
}

function outcomeOf(table: RouteTable, host: string, target: string): string | number {
  try {
    return table.match(host, parseTarget(target, 'GET').path).name
  } catch (error) {
    if (error instanceof RouteNotFoundError || error instanceof RequestInvalidError) return error.status
    throw error
  }
}

describe('a table of routes', () => {
  test.each<[string[], string, string | number]>([
    [['/', '/a', '/a/b'], '/a/b/c', '/a/b'], [['/a/b', '/a', '/'], '/a/bc', '/a'], [['/', '/a/'], '/a', '/'], [['/', '/a/'], '/a/x', '/a/'],
    [['/', '/a/'], '/a/;x', '/a/'], [['/', '/a/'], '/a//', '/a/'], [['/', '/a/'], '/a//b', '/a/'], [['/', '/a%20b'], '/a%20b/c', '/a%20b'], [['/', '/%C3%A4'], '/%C3%A4/x', '/%C3%A4'],
    [['/a'], '/b', 404], [['/a'], '//a', 404], [['/'], '//a', '/'], [['/', '/a'], '//a', 400], [['/', '/a'], '/b/..;/a', 400], [['/', '/a'], '/a/..;/b', 400], [['/', '/a'], '/%2561', 400],
    [['h/', '/a'], '/a', 'h/'], [['h/x', '/a'], '/a', '/a'], [['g/'], '/', 421],
  ])('%j: %s -> %s', (paths, target, expected) => {
    expect(outcomeOf(tableOf(...paths), 'h', target)).toBe(expected)
  })

  test('hosts are compared without case, and without a port the route does not name', () => {
    const table = tableOf('shop.example/', 'shop.example:8443/')
    for (const [host, expected] of [['SHOP.example', 'shop.example/'], ['shop.example:80', 'shop.example/'], ['shop.example:8443', 'shop.example:8443/'], ['xshop.example', 421], ['shop.example.evil', 421], ['', 421]] as const) {
      expect(outcomeOf(table, host, '/')).toBe(expected)
    }
  })
})
