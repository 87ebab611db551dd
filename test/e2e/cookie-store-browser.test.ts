import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCookieStore } from '../../src/stores/cookie.ts'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { testCertificates } from '../support/certificates.ts'
import { rawResponse } from '../support/raw-upstream.ts'
import { startWorld, type World } from '../support/world.ts'

let browser: TestBrowser
let world: World
/** HTTPS in front, as `__Host-` and Secure want it. */
let front: Server

beforeAll(async () => {
  browser = await startBrowser()
  world = await startWorld({
    store: createCookieStore(), upstream: { maxHeaderBytes: 65_536 }, limits: { maxHeaderBytes: '32KB' }, config: { store: { kind: 'cookie' } },
    session: { cookie: { name: '__Host-session', secure: true, sameSite: 'strict' }, permanent: true },
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
  front = createServer(testCertificates().server, (socket) => {
    const gateway = connect(world.port, '127.0.0.1')
    socket.on('error', () => gateway.destroy())
    gateway.on('error', () => socket.destroy())
    socket.pipe(gateway).pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(front, 'listening')
}, 60_000)
afterAll(async () => {
  for (const one of [browser, world]) await one?.[Symbol.asyncDispose]()
  front?.close()
})

test('Chromium keeps a session of any size that we give it, whole, and loses it at the logout', async () => {
  const { page, context } = await browser.visitor({ ignoreHTTPSErrors: true })
  const url = `https://127.0.0.1:${(front.address() as AddressInfo).port}`
  const visit = async (path: string): Promise<string> => {
    await page.goto(`${url}${path}`)
    return page.innerText('p')
  }
  const cookies = async (): Promise<string[]> => (await context.cookies()).map(({ name }) => name).toSorted()
  expect(await visit('/')).toBe('nobody')
  for (const [length, names] of [[8_500, 3], [5_000, 2], [8_400, 3], [100, 1], [8_450, 3]] as const) {
    await visit(`/set?${length}`)
    expect([await visit('/'), (await cookies()).length]).toEqual([String(length), names])
    expect(await page.title()).toBe('none')
  }
  await visit('/set?9400')
  expect(await visit('/')).toBe('8450')
  await visit('/logout')
  expect([await visit('/'), await cookies()]).toEqual(['nobody', []])
}, 30_000)
