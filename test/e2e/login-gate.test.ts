import { expect, onTestFinished, test } from 'vitest'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'

const browser = { accept: 'text/html,*/*' }

/** An app without a check of its own behind `/students`; `/login` is open. */
async function gate(requireValue: object | undefined): Promise<World> {
  const world = await startWorld({ routes: [
    { path: '/students', session: 'require', loginUrl: '/login?next=students', ...(requireValue ? { requireValue } : {}) },
    { path: '/', session: 'use' },
  ] })
  onTestFinished(() => world[Symbol.asyncDispose]())
  return world
}

async function login(world: World, patch: string): Promise<void> {
  world.upstream.respondOnce(rawResponse({ headers: [['X-Session-Patch', patch]], body: 'ok' }))
  await world.client.get('/login')
}

test.each([
  ['no value asked for, none there', undefined, undefined, false],
  ['no value asked for, any session', undefined, '{"a":1}', true],
  ['equals: the value', { path: 'user', equals: 'teacher' }, '{"user":"teacher"}', true],
  ['equals: another value', { path: 'user', equals: 'teacher' }, '{"user":"Teacher"}', false],
  ['equals: no session', { path: 'user', equals: 'teacher' }, undefined, false],
  ['equals: a session without it', { path: 'user', equals: 'teacher' }, '{"a":1}', false],
  ['equals: a number is not its text', { path: 'n', equals: 1 }, '{"n":"1"}', false],
  ['equals: a number', { path: 'n', equals: 1 }, '{"n":1.0}', true],
  ['equals: true', { path: 'user.ok', equals: true }, '{"user":{"ok":true}}', true],
  ['equals: an object is no value', { path: 'user', equals: 'x' }, '{"user":{"x":"x"}}', false],
  ['in: one of them', { path: 'user.role', in: ['teacher', 'head'] }, '{"user":{"role":"head"}}', true],
  ['in: none of them', { path: 'user.role', in: ['teacher', 'head'] }, '{"user":{"role":"pupil"}}', false],
  ['a name every object has', { path: 'constructor', equals: 'x' }, '{"a":1}', false],
])('%s', async (_what, requireValue, patch, isLetIn) => {
  const world = await gate(requireValue)
  if (patch !== undefined) await login(world, patch)
  world.upstream.forget()

  const page = await world.client.get('/students?id=1', { headers: browser })
  const call = await world.client.get('/students?id=1')
  expect([page.status, call.status]).toEqual(isLetIn ? [200, 200] : [302, 401])
  expect(page.header('location')).toBe(isLetIn ? undefined : '/login?next=students')
  expect(page.header('vary')).toBe('Cookie')
  expect(world.upstream.requestCount).toBe(isLetIn ? 2 : 0)
})
