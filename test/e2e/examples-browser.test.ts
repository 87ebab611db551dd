import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Cookie, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startBrowser } from '../support/browser.ts'
import type { TestBrowser } from '../support/browser.ts'
import { freePort, waitForPort } from '../support/ports.ts'
import { startCli, startTypeScript } from '../support/processes.ts'
import type { ChildHandle } from '../support/processes.ts'
import { missing, PYTHON, startProgram } from './adapters/toolchains.ts'

const examples = new URL('../../examples/', import.meta.url)
/** What our cookie may hold: key id, 256 random bits, signature. Nothing of the session. */
const OPAQUE = /^[\w-]{1,32}\.[\w-]{43}\.[\w%+/-]{43,60}$/

let browser: TestBrowser

beforeAll(async () => {
  browser = await startBrowser()
})
afterAll(() => browser[Symbol.asyncDispose]())

describe('npm start', () => {
  test('a browser counts, logs in, survives a restart of the gateway, and logs out', async () => {
    const data = await scratch()
    const port = await freePort()
    const demo = await startDemo(port, data)
    const { context, page } = await browser.visitor()
    const cookies = (): Promise<Cookie[]> => context.cookies()

    await page.goto(`http://127.0.0.1:${port}/`)
    expect(await cookies()).toEqual([])
    expect(await page.textContent('#count')).toBe('0')

    for (const expected of ['1', '2', '3']) {
      await page.click('text="Count"')
      await page.waitForSelector(`#count:text-is("${expected}")`)
    }
    const [anonymous] = await cookies()
    expect(anonymous).toMatchObject({ name: 'session', httpOnly: true, sameSite: 'Lax', path: '/', expires: -1, value: expect.stringMatching(OPAQUE) as string })
    expect(await page.evaluate('document.cookie')).toBe('')

    await page.fill('#name', 'Zoë <b>')
    await page.click('button:text("Sign in")')
    await page.waitForSelector('#who')
    expect(await page.textContent('#who')).toBe('Signed in as Zoë <b>')
    expect(await page.textContent('#count')).toBe('3')
    const [signedIn] = await cookies()
    expect(signedIn?.value).not.toBe(anonymous?.value)

    await addItem(page, 'Milk')
    await addItem(page, '王芳 & tea')

    await demo.stop()
    expect(demo.exit).toEqual({ code: 0, signal: null })
    await startDemo(port, data)
    await page.reload()
    expect(await page.textContent('#who')).toBe('Signed in as Zoë <b>')
    expect(await page.textContent('#count')).toBe('3')
    expect(await page.locator('#items li span').allTextContents()).toEqual(['Milk', '王芳 & tea'])
    expect((await cookies())[0]?.value).toBe(signedIn?.value)

    await page.click('button[aria-label="Remove Milk"]')
    await page.locator('#items li').nth(1).waitFor({ state: 'detached' })

    await page.click('text="Sign out"')
    await page.waitForSelector('#name')
    expect(await page.textContent('#count')).toBe('0')
    expect(await cookies()).toEqual([])

    await context.addCookies([{ ...signedIn, name: 'session', value: signedIn?.value ?? '' }])
    await page.reload()
    expect(await page.textContent('#data')).toBe('{}')
  })

  test('the keys are made once and are for the owner only', async () => {
    const data = await scratch()
    const demo = await startDemo(await freePort(), data)
    await demo.stop()
    expect(await readdir(data)).toEqual(expect.arrayContaining(['assertion-key', 'cookie-key']))
    for (const name of ['assertion-key', 'cookie-key']) expect((await stat(join(data, name))).mode & 0o777).toBe(0o600)
  })

  test('Ctrl-C stops the gateway and the app, with exit code 0', async () => {
    const port = await freePort()
    const demo = await startDemo(port, await scratch())
    const appPort = Number(/The app itself\s+http:\/\/127\.0\.0\.1:(\d+)/.exec(demo.stdout)?.[1])
    expect((await fetch(`http://127.0.0.1:${appPort}/`)).status).toBe(403)

    demo.signal('SIGINT')
    expect(await demo.exited).toEqual({ code: 0, signal: null })
    for (const gone of [port, appPort]) await expect(fetch(`http://127.0.0.1:${gone}/`)).rejects.toThrow()
  })

  test('a port that is taken is said plainly', async () => {
    const port = await freePort()
    await startDemo(port, await scratch())
    const second = runDemo(port, await scratch())
    expect(await second.exited).toEqual({ code: 1, signal: null })
    expect(second.stderr).toContain(`Port ${port} is taken. Choose another one:`)
  })
})

describe('the Flask apps behind the gateway', () => {
  let reason: string | undefined
  beforeAll(async () => {
    reason = await missing({ name: 'Flask', probe: [PYTHON, '-c', 'import flask'], install: 'apt-get install -y python3-flask' })
  })

  test('the counter counts, logs in, survives a restart of the gateway, and logs out', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await startFlask('app_counter.py', 'counter')
    const { context, page } = await browser.visitor()
    await page.goto(world.url)
    expect(await context.cookies()).toEqual([])

    await page.click('text="Count"')
    await page.click('text="Count"')
    await page.fill('[name=name]', 'Ann')
    await page.check('[name=remember]')
    await page.click('text="Sign in"')
    await page.waitForSelector('text="Signed in as Ann"')
    expect(await page.textContent('[role=status]')).toBe('Welcome, Ann')
    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({ httpOnly: true, value: expect.stringMatching(OPAQUE) as string })
    expect(cookie?.expires).toBeGreaterThan(Date.now() / 1000)

    await world.restart()
    await page.reload()
    expect(await page.textContent('h1')).toBe('Signed in as Ann')
    expect(await page.locator('[role=status]').count()).toBe(0)
    expect(await page.textContent('#count')).toBe('2')

    await page.click('text="Sign out"')
    await page.waitForSelector('text="Nobody is signed in"')
    expect(await context.cookies()).toEqual([])
  })

  test('the students are for who is signed in', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const world = await startFlask('app_students.py', 'students')
    const { context, page } = await browser.visitor()
    await page.goto(`${world.url}/student/3`)
    expect(new URL(page.url()).pathname).toBe('/login')

    await signIn(page, 'wrong')
    await page.waitForSelector('[role=alert]:text("Wrong user or password.")')
    await signIn(page, 'chalk')
    await page.waitForURL('**/student/3')
    expect(await page.textContent('h1')).toBe('Zoë Brandt')
    const [signedIn] = await context.cookies()

    await world.restart()
    await page.click('text="All students"')
    expect(await page.locator('li').count()).toBe(3)

    await page.click('text="Sign out"')
    await page.waitForURL('**/login')
    expect(await context.cookies()).toEqual([])
    await context.addCookies([{ ...signedIn, name: 'session', value: signedIn?.value ?? '' }])
    await page.goto(world.url)
    expect(new URL(page.url()).pathname).toBe('/login')
  })
})

async function signIn(page: Page, password: string): Promise<void> {
  await page.fill('[name=user]', 'teacher')
  await page.fill('[name=password]', password)
  await page.click('button')
}

async function addItem(page: Page, item: string): Promise<void> {
  await page.fill('#item', item)
  await page.click('text="Add"')
  await page.waitForSelector(`#items >> text="${item}"`)
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-example-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function runDemo(port: number, data: string): ChildHandle {
  const demo = startTypeScript(new URL('start.ts', examples), [], { env: { PORT: String(port), DATA_DIR: data } })
  onTestFinished(async () => { await demo.stop() })
  return demo
}

async function startDemo(port: number, data: string): Promise<ChildHandle> {
  const demo = runDemo(port, data)
  await demo.waitForLine(/sessiongate is running/, { timeoutMs: 15_000 })
  return demo
}

/** A Flask app and, as a process of its own, the gateway in front of it with sessions in files. */
async function startFlask(file: string, audience: string): Promise<{ url: string, restart: () => Promise<void> }> {
  const directory = await scratch()
  const secret = randomBytes(32).toString('base64url')
  const folder = fileURLToPath(new URL('flask/', examples))
  const app = await startProgram([PYTHON, join(folder, file)], { ASSERTION_SECRET: secret, AUDIENCE: audience }, '/')
  onTestFinished(() => app[Symbol.asyncDispose]())
  const port = await freePort()
  const env = { ASSERTION_SECRET: secret, COOKIE_SECRET: randomBytes(32).toString('base64url'), PORT: String(port), COUNTER: `http://127.0.0.1:${app.port}`, STUDENTS: `http://127.0.0.1:${app.port}` }
  const start = async (): Promise<ChildHandle> => {
    const gateway = startCli(['serve', '-c', join(folder, 'gateway.yaml'), '--admin', 'false', '--store.path', directory], { env })
    onTestFinished(async () => { await gateway.stop() })
    await waitForPort(port)
    return gateway
  }
  let gateway = await start()
  return {
    url: `http://${audience === 'counter' ? '127.0.0.1' : 'localhost'}:${port}`,
    async restart() {
      await gateway.stop()
      gateway = await start()
    },
  }
}
