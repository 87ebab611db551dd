import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { createCookieStore } from '../../src/stores/cookie.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'

let browser: TestBrowser
let world: World

beforeAll(async () => {
  browser = await startBrowser()
  world = await startWorld({
    store: createCookieStore(), upstream: { maxHeaderBytes: 65_536 }, limits: { maxHeaderBytes: '32KB' }, config: { store: { kind: 'cookie' } },
    session: { cookie: { name: 'sid', secure: false }, permanent: true },
  })
  // The page shows how long the session's text is; /set?N makes it N long, /logout ends it.
  world.upstream.respond(({ target }) => {
    const [path, length = ''] = target.split('?')
    const { data } = world.lastClaims() as { data: { text?: string } }
    const headers: [string, string][] = [['Content-Type', 'text/html']]
    if (path === '/set') headers.push(['X-Session-Patch', JSON.stringify({ text: 'x'.repeat(Number(length)) })])
    if (path === '/logout') headers.push(['X-Session-Control', 'destroy'])
    return rawResponse({ headers, body: `<p>${data.text?.length ?? 'nobody'}</p><script>document.title = document.cookie || 'none'</script>` })
  })
}, 60_000)
afterAll(async () => {
  for (const one of [browser, world]) await one?.[Symbol.asyncDispose]()
})

test('Chromium keeps a session of any size that we give it, whole, and loses it at the logout', async () => {
  const { page, context } = await browser.visitor()
  const visit = async (path: string): Promise<string> => {
    await page.goto(`${world.url}${path}`)
    return page.innerText('p')
  }
  const cookies = async (): Promise<string[]> => (await context.cookies()).map(({ name }) => name).toSorted()
  expect(await visit('/')).toBe('nobody')
  for (const [length, names] of [[8_800, 3], [5_000, 2], [8_500, 3], [100, 1], [8_700, 3]] as const) {
    await visit(`/set?${length}`)
    expect([await visit('/'), (await cookies()).length]).toEqual([String(length), names])
    expect(await page.title()).toBe('none')
  }
  await visit('/set?9400')
  expect(await visit('/')).toBe('8700')
  await visit('/logout')
  expect([await visit('/'), await cookies()]).toEqual(['nobody', []])
}, 30_000)
