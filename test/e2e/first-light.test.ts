import { expect, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld } from '../support/world.ts'

test('a visitor gets a session when the upstream creates data, and the upstream sees it on the next request', async () => {
  await using world = await startWorld()
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', '{"user":{"id":"ann"}}']], body: 'hello' }))
  const first = await world.client.get('/login?next=/')
  expect(first.status).toBe(200)
  expect(first.body).toBe('hello')
  expect(first.header('x-session-patch')).toBeUndefined()
  expect(first.header('set-cookie')).toMatch(/^sid=c1\.[\w-]{43}\.[\w+/]{43}; Path=\/; HttpOnly; SameSite=Lax$/)

  await world.client.get('/')
  expect(world.lastClaims()).toMatchObject({ aud: 'app', iss: 'sessiongate', new: false, data: { user: { id: 'ann' } } })
})
