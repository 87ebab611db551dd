import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ASSERTION_SECRET, startWorld } from '../support/world.ts'
import type { World } from '../support/world.ts'
import { missing, prepare, startProgram, toolchains } from './adapters/toolchains.ts'

describe.each(toolchains)('a $name app behind the gateway', (toolchain) => {
  const started: AsyncDisposable[] = []
  let reason: string | undefined
  let world: World

  beforeAll(async () => {
    reason = await missing(toolchain)
    if (reason) return
    const prepared = await prepare(toolchain)
    started.push(prepared)
    const env = { ...toolchain.env, ASSERTION_SECRET, SESSIONGATE_SECRETS: JSON.stringify({ a1: ASSERTION_SECRET }), SESSIONGATE_AUDIENCE: 'app' }
    const app = await startProgram(toolchain.app(prepared.directory), env)
    started.push(app)
    world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${app.port}`], timeouts: { connect: '10s' } } })
    started.push(world)
  })
  afterAll(async () => {
    for (const one of started.reverse()) await one[Symbol.asyncDispose]()
  })

  test('a visitor logs in, is remembered, and logs out', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const client = world.newClient()
    expect((await client.get('/session')).json()).toEqual({})
    expect(client.jar.all()).toEqual([])

    await client.post('/login?user=ann')
    const first = client.jar.get('sid')?.value
    await client.post('/visit')
    await client.post('/visit')
    expect((await client.get('/session')).json()).toEqual({ user: { id: 'ann', visits: 2 } })
    expect(client.jar.get('sid')?.value).toBe(first)

    await client.post('/login?user=bob')
    expect(client.jar.get('sid')?.value).not.toBe(first)
    expect((await client.get('/session')).json()).toEqual({ user: { id: 'bob', visits: 0 } })

    await client.post('/logout')
    expect(client.jar.all()).toEqual([])
    expect((await client.get('/session')).json()).toEqual({})
  })

  test('requests in parallel keep all their changes', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const client = world.newClient()
    await client.post('/login?user=ann')
    const names = Array.from({ length: 8 }, (_, index) => `n${index}`)
    const replies = await Promise.all(names.map((name) => client.post(`/set?name=${name}&value=1`)))

    expect(replies.map(({ status }) => status)).toEqual(names.map(() => 200))
    expect((await client.get('/session')).json()).toEqual({ user: { id: 'ann', visits: 0 }, ...Object.fromEntries(names.map((name) => [name, 1])) })
  })

  test('values come back as they were put', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const client = world.newClient()
    const value = { text: '王芳 😀 "\\/\u0007\r\n', list: [1, [], 'two', null, { a: null }], truth: true, fraction: 12.5, nested: { 7: { deep: 'x' } } }
    await client.post(`/set?name=value&value=${encodeURIComponent(JSON.stringify(value))}`)
    expect((await client.get('/session')).json()).toEqual({ value })
  })

  test('null is a value', async ({ skip }) => {
    skip(reason !== undefined, reason)
    skip(toolchain.lacks?.includes('null') ?? false, `${toolchain.name} has no null values`)
    const client = world.newClient()
    await client.post('/login?user=ann')
    await client.post('/set?name=choice&value=null')
    expect((await client.get('/session')).json()).toEqual({ user: { id: 'ann', visits: 0 }, choice: null })
  })
})
