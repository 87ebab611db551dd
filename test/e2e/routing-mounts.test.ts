import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startWorld, type World } from '../support/world.ts'

// An app under a prefix it does not know: the prefix is taken off its targets and put back on what it says of them.

let world: World
let targetHost: string
beforeAll(async () => {
  world = await startWorld({ routes: [{ path: '/' }, { path: '/shop', stripPrefix: true }, { path: '/a/b-c', stripPrefix: true }, { path: '/slash/', stripPrefix: true }] })
  targetHost = new URL(world.upstream.url).host
})
afterAll(async () => { await world[Symbol.asyncDispose]() })
beforeEach(() => world.upstream.forget())

async function ask(target: string, headers: ReadonlyArray<readonly [string, string]> = []): Promise<ReturnType<typeof rawRequest>> {
  world.upstream.respondOnce(rawResponse({ headers, body: 'ok' }))
  return rawRequest(world.url, `GET ${target} HTTP/1.1\r\nHost: site.example\r\n\r\n`)
}

describe('targets', () => {
  test.each([
    ['/shop', '/'], ['/shop/', '/'], ['/shop/x', '/x'], ['/shop?q', '/?q'], ['/shop/?q', '/?q'], ['/shop/x?/shop/y', '/x?/shop/y'], ['/shop/shop/x', '/shop/x'], ['/shop//x', '//x'], ['/shop/%2Fx', '/%2Fx'],
    ['/%73hop/x', '/x'], ['/s%68o%70', '/'], ['/%73%68%6F%70?%73', '/?%73'], ['/shop/%C3%A4;y=1', '/%C3%A4;y=1'], ['/a/b-c/d', '/d'], ['/a/b%2Dc/d', '/d'], ['/slash/x', '/x'], ['/slash/', '/'], ['/shopping/x', '/shopping/x'],
  ])('%s arrives as %s', async (target, seen) => {
    expect((await ask(target)).status).toBe(200)
    expect(world.upstream.lastRequest.target).toBe(seen)
    expect(world.upstream.lastRequest.header('x-forwarded-prefix')).toBe(seen === target ? undefined : `/${target.slice(1).startsWith('a') ? 'a/b-c' : target.startsWith('/slash') ? 'slash/' : 'shop'}`)
  })
})

describe('Location and Content-Location', () => {
  test.each([
    ['/login', '/shop/login'], ['/', '/shop/'], ['/login?next=/', '/shop/login?next=/'], ['login', 'login'], ['../x', '../x'], ['?q', '?q'], ['#f', '#f'], ['', ''],
    ['http://site.example/login', 'http://site.example/shop/login'], ['http://SITE.example/login', 'http://site.example/shop/login'], ['http://site.example', 'http://site.example/shop'], ['http://site.example?q', 'http://site.example/shop/?q'],
    ['//site.example/x', 'http://site.example/shop/x'], ['http://elsewhere.example/x', 'http://elsewhere.example/x'], ['//elsewhere.example/x', '//elsewhere.example/x'], ['http://site.example.evil/x', 'http://site.example.evil/x'],
    ['http://site.example@evil/x', 'http://site.example@evil/x'], ['mailto:a@b', 'mailto:a@b'],
  ])('%s becomes %s', async (said, shown) => {
    const reply = await ask('/shop/x', [['Location', said], ['Content-Location', said]])
    expect(reply.header('location')).toBe(shown)
    expect(reply.header('content-location')).toBe(shown)
  })

  test('the address of the app itself is never shown', async () => {
    const reply = await ask('/shop/x', [['Location', `http://${targetHost}/login`]])
    expect(reply.header('location')).toBe('http://site.example/shop/login')
  })

  test('without a prefix it is left alone', async () => {
    expect((await ask('/x', [['Location', '/login']])).header('location')).toBe('/login')
  })

  test('A7 nothing of a redirect carries an assertion', async () => {
    const reply = await ask('/shop/x', [['Location', '/login']])
    expect(reply.rawHead).not.toContain(world.upstream.lastRequest.header('x-session-assertion'))
  })
})

describe('cookie paths', () => {
  test.each([
    ['a=1; Path=/', 'a=1; Path=/shop'], ['a=1; path=/x', 'a=1; path=/shop/x'], ['a=1;PATH=/x;Secure', 'a=1;PATH=/shop/x;Secure'], ['a=1', 'a=1'], ['a=1; Path=x', 'a=1; Path=x'], ['a=1; Path=', 'a=1; Path='],
    ['a=1; Path=/x; Path=/y', 'a=1; Path=/shop/x; Path=/shop/y'], ['a=path=/x; Path=/', 'a=path=/x; Path=/shop'], ['__Host-a=1; Secure; Path=/', '__Host-a=1; Secure; Path=/'], ['__hOsT-a=1; Secure; Path=/', '__hOsT-a=1; Secure; Path=/'],
    ['a=$1; Path=/$&', 'a=$1; Path=/shop/$&'], ['a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/', 'a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/shop'],
  ])('%s becomes %s', async (said, shown) => {
    expect((await ask('/shop/x', [['Set-Cookie', said]])).all('set-cookie')).toEqual([shown])
  })

  test('our own cookie keeps the path it is configured with', async () => {
    const reply = await ask('/shop/x', [['X-Session-Patch', '{"a":1}']])
    expect(reply.header('set-cookie')).toMatch(/; Path=\/;/)
  })
})

test('upstreams.host: target sends the target\'s own name, and maps it back in Location', async () => {
  await using other = await startWorld({ upstream: { host: 'target' } })
  other.upstream.respondOnce((request) => rawResponse({ status: 302, headers: [['Location', `http://${request.header('host')}/login`]], body: '' }))
  const reply = await rawRequest(other.url, 'GET / HTTP/1.1\r\nHost: site.example\r\n\r\n')
  expect(other.upstream.lastRequest.header('host')).toBe(new URL(other.upstream.url).host)
  expect(other.upstream.lastRequest.header('x-forwarded-host')).toBe('site.example')
  expect(reply.header('location')).toBe('http://site.example/login')
})
