import { createHmac, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing, prepare, startProgram, toolchains } from './adapters/toolchains.ts'
import type { RunningApp } from './adapters/toolchains.ts'

const secret = randomBytes(32).toString('base64url')
const ann = { user: { id: 'ann', visits: 1 }, theme: 'dark' }

interface Step {
  readonly title: string
  readonly data: object
  readonly path: string
  readonly patch?: object
  /** Directives that must be there, and no others but those in `may`. */
  readonly control?: readonly string[]
  readonly may?: RegExp
  readonly needs?: string
  /** Only for this framework. */
  readonly only?: string
}

const steps: readonly Step[] = [
  { title: 'creates a session with the first value', data: {}, path: '/login?user=ann', patch: { user: { id: 'ann', visits: 0 } }, may: /^rotate$/ },
  { title: 'notices a change inside a value', data: ann, path: '/visit', patch: { user: { visits: 2 } } },
  { title: 'carries every character', data: ann, path: `/set?name=name&value=${encodeURIComponent('"王芳 😀 \\u0007\\r\\nX: y"')}`, patch: { name: '王芳 😀 \u0007\r\nX: y' } },
  { title: 'keeps lists lists and objects objects', data: ann, path: `/set?name=cart&value=${encodeURIComponent('{"items":[1,"two",[]],"by":{"7":true}}')}`, patch: { cart: { items: [1, 'two', []], by: { 7: true } } } },
  { title: 'removes a value', data: ann, path: '/drop?name=theme', patch: { theme: null } },
  { title: 'says nothing when nothing changed', data: ann, path: '/drop?name=absent' },
  { title: 'asks for a new id at login', data: { ...ann, user: { id: 'bob', visits: 5 } }, path: '/login?user=ann', patch: { user: { id: 'ann', visits: 0 } }, control: ['rotate'] },
  { title: 'keeps the cookie when asked to', data: ann, path: '/remember', control: ['permanent'], may: /^idle=1200$/, needs: 'remember' },
  { title: 'starts anew when it ends and writes', data: ann, path: '/restart', patch: { fresh: true }, control: ['replace'], may: /^rotate$/ },
  { title: 'ends the session that is set to null', data: ann, path: '/null', control: ['destroy'], only: 'express' },
  { title: 'speaks before a head that is written by hand', data: ann, path: '/raw', patch: { raw: true }, only: 'express' },
  { title: 'keeps the data under a new id', data: ann, path: '/keep-old', patch: { fresh: true }, control: ['rotate'], only: 'php' },
  { title: 'opens the session twice in one page', data: ann, path: '/twice', patch: { first: true, second: true }, only: 'php' },
  { title: 'empties it by session_unset', data: ann, path: '/unset', patch: { user: null, theme: null }, only: 'php' },
  { title: 'forgets what a reset takes back', data: ann, path: '/reset', patch: { fresh: true }, only: 'java' },
  { title: 'shortens the idle lifetime', data: ann, path: '/short', control: ['idle=90'], only: 'java' },
  { title: 'ends the session at logout', data: ann, path: '/logout', control: ['destroy'] },
  { title: 'has nothing to end where there is nothing', data: {}, path: '/logout' },
]

describe.each(toolchains)('the $name adapter in its framework', (toolchain) => {
  const started: AsyncDisposable[] = []
  let reason: string | undefined
  let app: RunningApp

  beforeAll(async () => {
    reason = await missing(toolchain)
    if (reason) return
    const prepared = await prepare(toolchain)
    started.push(prepared)
    const env = { ...toolchain.env, ASSERTION_SECRET: secret, SESSIONGATE_SECRETS: JSON.stringify({ a1: secret }), SESSIONGATE_AUDIENCE: 'app' }
    app = await startProgram(toolchain.app(prepared.directory), env)
    started.push(app)
  })
  afterAll(async () => {
    for (const one of started.reverse()) await one[Symbol.asyncDispose]()
  })

  test.for(steps.filter(({ only }) => only === undefined || only === toolchain.name))('$title', async ({ data, path, patch, control = [], may, needs = '' }, { skip }) => {
    skip(reason !== undefined, reason)
    skip(toolchain.lacks?.includes(needs) ?? false, `${toolchain.name} has no words for this`)
    const answer = await fetch(`http://127.0.0.1:${app.port}${path}`, { method: 'POST', headers: { 'x-session-assertion': assertionOf(data) } })

    expect(answer.status, app.log()).toBe(200)
    expect(await answer.text()).toBe('ok')
    expect(patchOf(answer)).toEqual(patch)
    expect(controlOf(answer).filter((directive) => !may?.test(directive))).toEqual(control)
    expect(answer.headers.getSetCookie()).toEqual([])
  })

  test('shows the app what the gateway vouches for', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const answer = await fetch(`http://127.0.0.1:${app.port}/session`, { headers: { 'x-session-assertion': assertionOf(ann) } })

    expect(await answer.json()).toEqual(ann)
    expect([patchOf(answer), controlOf(answer), answer.headers.getSetCookie()]).toEqual([undefined, [], []])
  })

  test.for([
    ['no assertion', undefined],
    ['a forged one', `${assertionOf({ user: { id: 'root' } }).slice(0, -6)}AAAAAA`],
    ['one for another app', assertionOf({ user: { id: 'root' } }, { aud: 'other' })],
    ['an expired one', assertionOf({ user: { id: 'root' } }, { exp: 1_700_000_000 })],
  ])('believes nothing with %s', async ([_title, assertion], { skip }) => {
    skip(reason !== undefined, reason)
    const answer = await fetch(`http://127.0.0.1:${app.port}/session`, { headers: assertion ? { 'x-session-assertion': assertion } : {} })

    expect(await answer.text()).not.toContain('root')
    expect([patchOf(answer), controlOf(answer), answer.headers.getSetCookie()]).toEqual([undefined, [], []])
  })
})

/** What the gateway would put on a request of a session with this data. */
function assertionOf(data: object, claims: object = {}): string {
  const segment = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const stored = Object.keys(data).length > 0
  const body = { iss: 'sessiongate', aud: 'app', iat: 1_700_000_000, exp: 4_102_444_800, ...(stored && { sid: 'handle_-1', ver: 'v1' }), new: !stored, permanent: false, data, ...claims }
  const input = `${segment({ alg: 'HS256', typ: 'session+jwt', kid: 'a1' })}.${segment(body)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

function patchOf(answer: Response): unknown {
  const text = answer.headers.get('x-session-patch')
  return text === null ? undefined : JSON.parse(text)
}

function controlOf(answer: Response): string[] {
  return answer.headers.get('x-session-control')?.split(', ') ?? []
}
