import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { runCliBatch } from '../support/cli.ts'
import { secretNamed } from '../support/config-samples.ts'
import { httpClient, type HttpClient } from '../support/http-client.ts'
import { rawResponse, startRawUpstream, type RawUpstream } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'
import { missing, type RunningApp } from './adapters/toolchains.ts'
import { recipeApps, workDirectory, type RecipeApp } from './recipes/apps.ts'

const RECIPES = new URL('../../docs/recipes/', import.meta.url)

/** The configurations in a recipe that are complete: whole files, as an operator would take them. */
function configsIn(name: string): string[] {
  const text = readFileSync(new URL(`${name}.md`, RECIPES), 'utf8')
  return [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, yaml = '']) => yaml).filter((yaml) => /^upstreams:/m.test(yaml) && /^keys:/m.test(yaml))
}

interface RecipeConfig { readonly session: object; readonly routes: readonly [object, ...object[]] }

test('every recipe of a framework has one complete configuration, and check accepts it without a warning', { timeout: 20_000 }, async () => {
  const names = readdirSync(RECIPES).map((file) => file.replace(/\.md$/, '')).filter((name) => name !== 'flask')
  expect(names.sort()).toEqual(recipeApps.map(({ name }) => name).sort())
  const cwd = mkdtempSync(join(tmpdir(), 'recipes-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  mkdirSync(join(cwd, 'keys'))
  for (const key of ['cookie', 'assertion']) writeFileSync(join(cwd, 'keys', key), secretNamed(key), { mode: 0o600 })
  for (const name of names) {
    expect([name, configsIn(name).length]).toEqual([name, 1])
    writeFileSync(join(cwd, `${name}.yaml`), configsIn(name)[0] as string)
  }
  const results = await runCliBatch(names.map((name) => ['check', '-c', `${name}.yaml`]), { cwd })
  expect(results.map(({ code, stderr, stdout }) => [code, stderr, stdout.includes('Warnings')])).toEqual(names.map(() => [0, '', false]))
})

describe.each(recipeApps)('the recipe for $name', { timeout: 60_000 }, (recipe) => {
  const started: AsyncDisposable[] = []
  let reason: string | undefined
  let app: RunningApp
  let gate: RawUpstream

  beforeAll(async () => {
    reason = await missing(recipe)
    if (reason !== undefined) return
    const directory = await workDirectory()
    started.push(directory)
    gate = await startRawUpstream()
    started.push(gate)
    app = await recipe.start(directory.path)
    started.push(app)
  }, 90_000)
  afterAll(async () => {
    for (const one of started.reverse()) await one[Symbol.asyncDispose]()
  })

  /** The gateway of the recipe: its session and its routes, and beside them another app, which says who the user is. */
  async function gateway(): Promise<World> {
    const { session, routes } = parse(configsIn(recipe.name)[0] as string) as RecipeConfig
    const world = await startWorld({
      store: createMemoryStore(),
      session: { ...session, subject: 'user', cookie: { name: 'sid', secure: false } },
      routes: [...routes as readonly Record<string, unknown>[], { path: '/gate', upstream: 'gate' }] as never,
      config: { upstreams: { app: { targets: [`http://127.0.0.1:${app.port}`] }, gate: { targets: [gate.url] } } },
    })
    onTestFinished(() => world[Symbol.asyncDispose]())
    return world
  }

  test('login, work and logout, and the browser never holds the login', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    const { client } = world
    const names = namesSetFor(client)
    expect(await recipe.whoami(client)).toBe('nobody')
    await recipe.login(client, 'ann')
    expect(await recipe.whoami(client), app.log()).toBe('ann')
    if (recipe.count) expect([await recipe.count(client), await recipe.count(client)]).toEqual([1, 2])
    expect((await recipe.cookiesSeen(client)).some((name) => recipe.hidden[0]?.test(name))).toBe(true)
    expect(unexpected([...names], ['sid', ...recipe.visible])).toEqual([])
    expect(unexpected(client.jar.all().map(({ name }) => name), ['sid', ...recipe.visible])).toEqual([])

    const copied = client.jar.headerFor('/')
    await recipe.logout(client)
    expect(await recipe.whoami(client)).toBe('nobody')
    expect(unexpected(await recipe.cookiesSeen(client), recipe.leftAfterLogout)).toEqual([])
    expect(unexpected([...names], ['sid', ...recipe.visible])).toEqual([])
    const thief = world.newClient()
    for (const pair of copied.split('; ')) thief.jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    expect(await recipe.whoami(thief)).toBe('nobody')
  })

  test('parallel requests of one visitor are all that visitor\'s', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    await recipe.login(world.client, 'ann')
    await recipe.login(world.newClient(), 'bob')
    expect(await Promise.all(Array.from({ length: 8 }, () => recipe.whoami(world.client)))).toEqual(Array(8).fill('ann'))
    const { count } = recipe
    if (count) await Promise.all(Array.from({ length: 4 }, () => count(world.client)))
    expect(await recipe.whoami(world.client)).toBe('ann')
  })

  test('a login outlives the browser exactly when the app says so', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    await recipe.login(world.client, 'ann')
    world.client.jar.closeBrowser()
    expect(await recipe.whoami(world.client)).toBe(recipe.endsWithBrowser ? 'nobody' : 'ann')
    if (!recipe.loginForLong) return
    const client = world.newClient()
    await recipe.loginForLong(client, 'bob')
    client.jar.closeBrowser()
    expect(await recipe.whoami(client)).toBe('bob')
    await recipe.logout(client)
    client.jar.closeBrowser()
    expect(await recipe.whoami(client)).toBe('nobody')
  })

  test('who is logged in today stays so, and the old cookie leaves the browser', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await gateway()
    await using direct = httpClient(`http://127.0.0.1:${app.port}`)
    await recipe.login(direct, 'ann')
    expect(await recipe.whoami(direct)).toBe('ann')
    const { client } = world
    for (const { name, value, path } of direct.jar.all()) client.jar.set(name, value, path)
    expect(client.jar.all().some(({ name }) => recipe.hidden[0]?.test(name))).toBe(true)
    expect(await recipe.whoami(client)).toBe('ann')
    await recipe.cookiesSeen(client)
    expect(await recipe.whoami(client)).toBe('ann')
    expect(unexpected(client.jar.all().map(({ name }) => name), ['sid', ...recipe.visible])).toEqual([])
  })

  test('another user of the session is nobody to the app', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const { client } = await gateway()
    const becomes = async (user: string | null): Promise<void> => {
      gate.respondOnce(rawResponse({ headers: [['X-Session-Patch', JSON.stringify({ user, lang: 'de' })]], body: 'ok' }))
      await client.get('/gate')
    }
    await becomes('ann')
    await recipe.login(client, 'ann')
    expect(await recipe.whoami(client)).toBe('ann')
    await becomes('bob')
    expect((await recipe.cookiesSeen(client)).filter((name) => recipe.hidden.some((hidden) => hidden.test(name)))).toEqual([])
    expect(await recipe.whoami(client)).toBe('nobody')
    await recipe.login(client, 'ann')
    await becomes(null)
    expect(await recipe.whoami(client)).toBe('nobody')
  })
})

/** The names of all cookies a client is told to keep from here on. */
function namesSetFor({ jar }: HttpClient): ReadonlySet<string> {
  const names = new Set<string>()
  const store = jar.store.bind(jar)
  jar.store = (line, path) => {
    store(line, path)
    const name = line.slice(0, line.indexOf('='))
    if (jar.get(name)) names.add(name)                                       // else it deletes
  }
  return names
}

function unexpected(names: readonly string[], expected: RecipeApp['visible']): string[] {
  return names.filter((name) => !expected.some((one) => (typeof one === 'string' ? one === name : one.test(name))))
}
