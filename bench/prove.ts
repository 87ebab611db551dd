import assert from 'node:assert/strict'
import type { SessionView, StartedTarget, Target } from './targets.ts'
import { verifyAssertion } from './verify-assertion.ts'
import { verifyFlaskCookie } from './verify-flask-cookie.ts'

/** The session every visitor of the benchmark has: what a small shop keeps about someone who is logged in. */
export const SESSION_DATA = {
  user: { id: 48213, name: 'Maria Lindgren', email: 'maria.lindgren@example.org', roles: ['customer', 'reviewer'] },
  csrf: 'b1f0c9a2d8e7465390ab12cd34ef5678',
  cart: [{ sku: 'A-1009', quantity: 2 }, { sku: 'C-77', quantity: 1 }, { sku: 'Z-5120', quantity: 4 }],
  locale: 'sv-SE',
  seenAt: 1_767_225_600,
  n: 0,
}

const PAGE_BYTES = 1024

/** What the application saw of a request, as its /echo answers. */
interface Echo {
  readonly rawHeaders: readonly string[]
  readonly written: number
}

/** A target that has been shown to answer correctly, and the request headers of the visitors to measure it with. */
export interface ProvenTarget {
  readonly path: string
  readonly visitors: readonly Readonly<Record<string, string>>[]
  /** Checks, after the load, that what was written under load is in every visitor's session. */
  checkWritten(sinceWritten: number): Promise<void>
}

/**
 * Proves that a target does its job before it is timed: status, body and, with sessions, that each visitor's session reaches the
 * application (signed, where the target signs) and that a write is there on the next request.
 * @throws AssertionError naming what was wrong.
 */
export async function prove(target: Pick<Target, 'session' | 'isProxy'>, started: StartedTarget, visitors: number, mount = ''): Promise<ProvenTarget> {
  const base = started.server.url + mount
  const visit = pathOf(target)
  if (target.session === 'none') {
    const headers = { cookie: `visitor=${'x'.repeat(88)}` }                // as long as a session cookie, so that requests weigh the same
    await expectPage(`${base}${visit}`, headers)
    if (target.isProxy) await expectNoSession(base, headers)
    return { path: visit, visitors: [headers], checkWritten: async () => {} }
  }

  const cookies = await Promise.all(Array.from({ length: visitors }, () => createVisitor(base)))
  assert.equal(new Set(cookies.map(({ cookie }) => cookie)).size, visitors, 'each visitor has a session of its own')
  for (const headers of cookies) {
    const seen = await sessionSeen(base, headers, started.view)
    assert.deepEqual(seen.data, SESSION_DATA, 'the application sees the session as it was stored')
  }
  if (target.session === 'write') await expectWriteIsSeen(base, cookies[0]!, started.view)
  return { path: visit, visitors: cookies, checkWritten }

  async function checkWritten(sinceWritten: number): Promise<void> {
    if (target.session !== 'write') return
    for (const headers of cookies) {
      const { data } = await sessionSeen(base, headers, started.view)
      assert.ok(Number(data.n) > sinceWritten, `what was written under load is in the session (${String(data.n)} > ${sinceWritten})`)
      assert.deepEqual({ ...data, n: 0 }, SESSION_DATA, 'writing one member left the others alone')
    }
  }
}

/** The path that is measured: it decides whether the application changes the session. */
function pathOf(target: Pick<Target, 'session'>): string {
  return target.session === 'write' ? '/write' : '/plain'
}

/** How many session changes the application has sent so far. */
export async function writtenSoFar(upstreamUrl: string): Promise<number> {
  return (await echoOf(upstreamUrl, {})).written
}

async function createVisitor(base: string): Promise<{ readonly cookie: string }> {
  const response = await fetch(`${base}/seed`, { method: 'POST', body: JSON.stringify(SESSION_DATA) })
  await expectPageAnswer(response)
  const cookies = response.headers.getSetCookie()
  assert.equal(cookies.length, 1, 'creating a session sets exactly one cookie')
  return { cookie: cookies[0]!.split(';')[0]! }
}

async function expectWriteIsSeen(base: string, headers: Readonly<Record<string, string>>, view: SessionView): Promise<void> {
  const response = await fetch(`${base}/write`, { headers })
  assert.equal(response.headers.get('x-session-patch'), null, 'the mutation does not reach the client')
  await expectPageAnswer(response)
  const { data, written } = await sessionSeen(base, headers, view)
  assert.equal(data.n, written, 'the next request sees what was written')
}

async function expectPage(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  await expectPageAnswer(await fetch(url, { headers }))
}

async function expectPageAnswer(response: Response): Promise<void> {
  const body = await response.text()
  assert.equal(response.status, 200, `status of ${response.url}: ${body.slice(0, 300)}`)
  assert.equal(body, 'sessiongate bench page. '.repeat(PAGE_BYTES).slice(0, PAGE_BYTES), 'the page arrives byte for byte')
}

async function expectNoSession(base: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const { rawHeaders } = await echoOf(base, headers)
  assert.ok(!rawHeaders.some((name) => /^x-session/i.test(name)), 'no session header reaches the application')
}

async function sessionSeen(base: string, headers: Readonly<Record<string, string>>, view: SessionView) {
  const { rawHeaders, written } = await echoOf(base, headers)
  return { data: dataSeen(rawHeaders, view), written }
}

function dataSeen(rawHeaders: readonly string[], view: SessionView): Readonly<Record<string, unknown>> {
  if (view.kind === 'plain') return JSON.parse(valueOf(rawHeaders, 'x-session')) as Record<string, unknown>
  if (view.kind === 'flask') return verifyFlaskCookie(valueOf(rawHeaders, 'cookie'), view.secretKey)
  assert.equal(view.kind, 'signed')
  const claims = verifyAssertion(valueOf(rawHeaders, 'x-session-assertion'), view.key, 'app')
  assert.ok(claims.new !== true, 'the session is one that was stored')
  return claims.data
}

function valueOf(rawHeaders: readonly string[], name: string): string {
  const at = rawHeaders.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === name)
  assert.ok(at >= 0, `the application sees ${name}`)
  return rawHeaders[at + 1]!
}

async function echoOf(base: string, headers: Readonly<Record<string, string>>): Promise<Echo> {
  const response = await fetch(`${base}/echo`, { headers })
  assert.equal(response.status, 200, `status of ${base}/echo`)
  return await response.json() as Echo
}
