import assert from 'node:assert/strict'
import { RequestInvalidError, RouteNotFoundError } from '../../../src/errors.ts'
import { stripPrefix } from '../../../src/gateway/mount.ts'
import { createRouteTable, type Route } from '../../../src/gateway/route.ts'
import { parseTarget } from '../../../src/gateway/target.ts'
import { unlessRefused, type FuzzedParser } from '../parser.ts'

const routeAt = (path: string, host?: string): Route => ({ name: path, path, host } as Route)
const table = createRouteTable([routeAt('/'), routeAt('/app'), routeAt('/app/admin'), routeAt('/x', 'a.example'), routeAt('/x/', 'b.example:8080')])
const isRefusal = (error: unknown): boolean => error instanceof RequestInvalidError || error instanceof RouteNotFoundError

/** What is accepted goes on byte for byte, means one thing to every reader, and lies below the route it was matched to. */
export const parser: FuzzedParser = {
  seeds: ['/', '/app/admin?x=1&y=/../', '/app;v=1/admin', 'http://a.example/x?y', 'HTTPS://[::1]:80', '*', '/%61pp//x', '/a%2e%2e/b', '/app%2fadmin', '/%2525', '/a/./b', 'http://user@b/'],
  words: ['/', '//', '.', '..', '/..', '%2e', '%2f', '%5c', '%25', '%', '\\', '?', '#', ';', '=', '/app', '/app/admin', '%61', 'http://', 'https://', 'a.example', ':8080', '@', '[::1]', '*', '\xff'],
  check(input) {
    const url = input.toString('latin1')
    for (const method of ['GET', 'OPTIONS']) {
      const target = unlessRefused(isRefusal, () => parseTarget(url, method))
      if (!target) continue
      assert.ok(url.endsWith(target.origin.slice(1)))
      assert.match(target.origin, /^(?:\*|\/[\x21\x22\x24-\x5b\x5d-\x7e\x80-\xff]*)$/)
      assert.deepEqual(parseTarget(target.origin, method), { ...target, authority: undefined })
      if (target.origin === '*') continue
      const [path = ''] = target.origin.split('?')
      assert.ok(!path.split(/\/|%2f|%5c/i).some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment)))
      const route = unlessRefused(isRefusal, () => table.match(target.authority ?? 'a.example', target.path))
      if (!route) continue
      assert.ok(route.path === '/' || target.path === route.path || target.path.startsWith(route.path))
      if (route.path !== '/') assert.ok(stripPrefix(target.origin, route.path.replace(/\/$/, '')).startsWith('/'))
    }
  },
}
