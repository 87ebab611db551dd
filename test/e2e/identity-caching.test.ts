import { describe, expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'

// No cache may hand one visitor's page to another (N45, N46, CVE-2023-30861).

const login = rawResponse({ headers: [['X-Session-Patch', '{"a":1}'], ['Cache-Control', 'public, max-age=60'], ['CDN-Cache-Control', 'max-age=600']], body: 'ok' })
const page = (...headers: ReadonlyArray<readonly [string, string]>): Buffer => rawResponse({ headers, body: 'ok' })

async function visitor(world: World, isKnown: boolean): Promise<World['client']> {
  const client = world.newClient()
  if (!isKnown) return client
  world.upstream.respondOnce(login)
  await client.get('/login')
  return client
}

describe('what caches are told', () => {
  test.each<[string, 'use' | 'none', boolean, ReadonlyArray<readonly [string, string]>, string | undefined, string | undefined]>([
    ['a page for a session', 'use', true, [], 'private', 'Cookie'],
    ['that the app called public', 'use', true, [['Cache-Control', 'public, s-maxage=600, max-age=60']], 'private, max-age=60', 'Cookie'],
    ['over several lines', 'use', true, [['Cache-Control', 'public'], ['Cache-Control', 'max-age=60'], ['Vary', 'Accept'], ['vary', 'Accept-Language']], 'private, max-age=60', 'Accept, Accept-Language, Cookie'],
    ['that keeps back one field only', 'use', true, [['Cache-Control', 'private="Set-Cookie", max-age=60']], 'private, max-age=60', 'Cookie'],
    ['that may not be kept at all', 'use', true, [['Cache-Control', 'no-store']], 'no-store', 'Cookie'],
    ['that varies by cookie already', 'use', true, [['Vary', 'cookie']], 'private', 'cookie'],
    ['that varies by everything', 'use', true, [['Vary', '*']], 'private', '*'],
    ['a page for a visitor without a session', 'use', false, [['Cache-Control', 'public, max-age=60']], 'public, max-age=60', 'Cookie'],
    ['the same, nothing said', 'use', false, [], undefined, 'Cookie'],
    ['a route without sessions', 'none', true, [['Cache-Control', 'public'], ['Vary', 'Accept']], 'public', 'Accept'],
    ['the same, nothing said', 'none', true, [], undefined, undefined],
  ])('%s (%s)', async (_what, session, isKnown, headers, cacheControl, vary) => {
    await using world = await startWorld({ routes: [{ path: '/' }, { path: '/page', session }] })
    const client = await visitor(world, isKnown)
    world.upstream.respond(page(...headers))
    const reply = await client.get('/page')
    expect(reply.header('cache-control')).toBe(cacheControl)
    expect(reply.header('vary')).toBe(vary)
  })

  test('an answer that sets our cookie is not kept by anyone', async () => {
    await using world = await startWorld()
    world.upstream.respond(login)
    const reply = await world.client.get('/')
    expect(reply.fields).toMatchObject({ 'cache-control': 'no-store', 'vary': 'Cookie' })
    expect(reply.fields).not.toHaveProperty('cdn-cache-control')
  })

  test.each(['CDN-Cache-Control', 'Surrogate-Control', 'X-Accel-Expires', 'Cloudflare-CDN-Cache-Control', 'Edge-Control'])('%s cannot undo it for a session, and passes otherwise', async (name) => {
    await using world = await startWorld()
    const [known, unknown] = [await visitor(world, true), await visitor(world, false)]
    world.upstream.respond(page([name, 'max-age=600']))
    expect((await known.get('/')).header(name)).toBeUndefined()
    expect((await unknown.get('/')).header(name)).toBe('max-age=600')
  })

  test('cache: upstream leaves Cache-Control to the app, but for the cookie', async () => {
    await using world = await startWorld({ routes: [{ cache: 'upstream' }] })
    const client = await visitor(world, true)
    world.upstream.respond(page(['Cache-Control', 'public, max-age=60'], ['CDN-Cache-Control', 'max-age=600']))
    expect((await client.get('/')).fields).toMatchObject({ 'cache-control': 'public, max-age=60', 'cdn-cache-control': 'max-age=600', 'vary': 'Cookie' })
    world.upstream.respond(login)
    expect((await world.newClient().get('/')).header('cache-control')).toBe('no-store')
  })
})

describe('Vary: Cookie is on every answer of a session route', () => {
  test.each([200, 206, 301, 302, 304, 400, 401, 403, 404, 410, 500, 503])('%i of the app, with and without a session', async (status) => {
    await using world = await startWorld()
    for (const isKnown of [true, false]) {
      const client = await visitor(world, isKnown)
      world.upstream.respondOnce(rawResponse({ status, reason: 'X', ...status === 304 ? {} : { body: 'x' } }))
      expect((await client.get('/')).header('vary')).toBe('Cookie')
    }
  })

  test('a session that is only refreshed, or ended', async () => {
    await using world = await startWorld({ session: { permanent: true, touchInterval: '1ms' } })
    const client = await visitor(world, true)
    world.upstream.respondOnce(page(), rawResponse({ headers: [['X-Session-Control', 'destroy']], body: 'bye' }))
    for (const target of ['/refreshed', '/logout']) {
      const reply = await client.get(target)
      expect(reply.fields).toMatchObject({ 'vary': 'Cookie', 'cache-control': 'no-store' })
      expect(reply.header('set-cookie')).toBeDefined()
    }
  })

  test('errors of ours', async () => {
    await using world = await startWorld({ routes: [{}, { path: '/private', session: 'require' }, { path: '/login-first', session: 'require', loginUrl: '/login' }], limits: { maxBody: '1KB' } })
    world.upstream.respond(rawResponse({ headers: [['X-Session-Patch', 'broken']], body: 'x' }))
    const replies = [
      await world.client.get('/'), await world.client.get('/private'), await world.client.get('/login-first', { headers: { accept: 'text/html' } }),
      await world.client.post('/', { body: 'x'.repeat(2_000) }), await world.client.request('TRACE', '/'), await world.client.get('/a%2f..'),
    ]
    expect(replies.map(({ status }) => status)).toEqual([502, 401, 302, 413, 405, 400])
    for (const reply of replies) expect(reply.fields).toMatchObject({ 'vary': 'Cookie', 'cache-control': 'no-store' })
  })
})
