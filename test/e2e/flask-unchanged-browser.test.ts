import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { debianFlask, startLegacyApp } from '../support/legacy-apps.ts'
import { startWorld, type World } from '../support/world.ts'
import type { RunningApp } from './adapters/toolchains.ts'

let reason: string | undefined
let browser: TestBrowser
let app: RunningApp
let world: World

beforeAll(async () => {
  const prepared = await debianFlask.prepare()
  if ('missing' in prepared) return void (reason = prepared.missing)
  browser = await startBrowser()
  app = await startLegacyApp(prepared.python, 'app_students.py')
  world = await startWorld({
    upstream: { targets: [`http://127.0.0.1:${app.port}`] },
    session: { cookie: { name: 'session', secure: false }, rotateOn: ['user'] },
    routes: [{ adapter: { kind: 'flask', secretKey: 'students-demo-key' } }],
  })
}, 60_000)
afterAll(async () => {
  for (const one of [browser, world, app]) await one?.[Symbol.asyncDispose]()
})

/** What a teacher sees from the first link to the sign-out, page by page. */
async function visit(url: string): Promise<{ readonly pages: string[]; readonly cookies: string[]; readonly context: BrowserContext; readonly page: Page }> {
  const { context, page } = await browser.visitor()
  const pages: string[] = []
  const see = async (): Promise<void> => { pages.push(`${new URL(page.url()).pathname} ${await page.innerText('body')}`) }
  await page.goto(`${url}/student?id=3`)
  await see()
  await signIn(page, 'wrong')
  await see()
  await signIn(page, 'chalk')
  await see()
  await page.click('text="back"')
  await see()
  const cookies = (await context.cookies()).map(({ value }) => value)
  expect(await page.evaluate('document.cookie')).toBe('')
  await page.click('text="sign out"')
  await see()
  return { pages, cookies, context, page }
}

async function signIn(page: Page, password: string): Promise<void> {
  await page.fill('[name=username]', 'teacher')
  await page.fill('[name=password]', password)
  await page.click('button')
}

test('a browser shows the same, holds nothing of the session, and cannot be logged in again by a copy', async ({ skip }) => {
  skip(reason !== undefined, reason)
  const plain = await visit(`http://127.0.0.1:${app.port}`)
  const guarded = await visit(world.url)
  expect(guarded.pages).toEqual(plain.pages)
  expect(guarded.pages[3]).toContain('王芳')

  expect(Buffer.from(plain.cookies[0]?.split('.')[0] ?? '', 'base64url').toString()).toContain('"user":"teacher"')
  expect(guarded.cookies).toEqual([expect.stringMatching(/^c1\.[\w-]{43}\.[\w+/]{43}$/)])

  const after = []
  for (const [{ context, page, cookies }, url] of [[plain, `http://127.0.0.1:${app.port}`], [guarded, world.url]] as const) {
    await context.addCookies([{ name: 'session', value: cookies[0] ?? '', url }])
    await page.goto(`${url}/students`)
    after.push(new URL(page.url()).pathname)
  }
  expect(after).toEqual(['/students', '/login'])
})
