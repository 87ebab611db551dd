import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLegacyApp } from '../../examples/legacy-app/server.ts'
import { changeSession, readSession } from '../../examples/legacy-app/session.ts'
import { vectors } from './adapters/vectors.ts'

const secrets = new Map(Object.entries(vectors.secrets))
const requestWith = (assertion: string): IncomingMessage => ({ headers: { 'x-session-assertion': assertion } }) as unknown as IncomingMessage

test('the app believes what the gateway signs, to the last value, and nothing else', () => {
  const own = vectors.assertions.filter(({ alg }) => alg === 'HS256')
  const judged = own.map(({ id, token }) => [id, readSession(requestWith(token), secrets, vectors.audience)])
  expect(judged).toEqual(own.map(({ id, valid, claims }) => [id, valid ? claims : undefined]))
})

test('what the app sends fits a header', () => {
  const response = new ServerResponse({ method: 'GET' } as IncomingMessage)
  const patch = { text: 'a\r\nX-Evil: 1\u0000\u007f\u2028 王芳 😀' }
  changeSession(response, { patch, control: ['rotate', 'permanent'] })
  expect(response.getHeader('x-session-patch')).toMatch(/^[ -~]*$/)
  expect(JSON.parse(String(response.getHeader('x-session-patch')))).toEqual(patch)
  expect(response.getHeader('x-session-control')).toBe('rotate, permanent')
})

describe('the app, asked directly', () => {
  let app: Server
  let url: string
  const assertion = vectors.assertions.find(({ id }) => id === 'hs256-valid-new')?.token ?? ''

  beforeAll(async () => {
    app = createLegacyApp({ secrets, audience: vectors.audience }).listen(0, '127.0.0.1')
    await once(app, 'listening')
    url = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    app.closeAllConnections()
    await new Promise((closed) => app.close(closed))
  })

  const post = (path: string, form: Record<string, string> = {}, headers: Record<string, string> = { 'x-session-assertion': assertion }): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(form), headers, redirect: 'manual' })

  test('refuses whoever does not come through the gateway', async () => {
    for (const headers of [{}, { 'x-session-assertion': `${assertion.slice(0, -4)}AAAA` }, { 'x-session-data': '{"user":{"id":"root"}}' }]) {
      const answer = await post('/login', { name: 'Eve' }, headers)
      expect([answer.status, answer.headers.get('x-session-patch'), answer.headers.get('x-session-control')]).toEqual([403, null, null])
    }
  })

  test.for([
    ['/login', { name: '  Ann ' }, { user: { id: 'ann', name: 'Ann' } }, 'rotate, transient'],
    ['/login', { name: 'Ann', remember: '1' }, { user: { id: 'ann', name: 'Ann' } }, 'rotate, permanent'],
    ['/count', {}, { count: 1 }, null],
    ['/logout', {}, null, 'destroy'],
    ['/list/remove', { id: 'nobody' }, null, null],
  ] as const)('answers POST %s %o', async ([path, form, patch, control]) => {
    const answer = await post(path, form)
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/'])
    expect(JSON.parse(answer.headers.get('x-session-patch') ?? 'null')).toEqual(patch)
    expect(answer.headers.get('x-session-control')).toBe(control)
  })

  test.for([
    ['/login', { name: ' ' }, 422], ['/list/add', { item: '' }, 422], ['/nothing', {}, 404], ['/list/add', { item: 'x'.repeat(20_000) }, 400],
  ] as const)('changes nothing for POST %s with what it cannot use', async ([path, form, status]) => {
    const answer = await post(path, form)
    expect([answer.status, answer.headers.get('x-session-patch'), answer.headers.get('x-session-control')]).toEqual([status, null, null])
  })

  test('shows every character, under a strict policy', async () => {
    const odd = vectors.assertions.find(({ id }) => id === 'hs256-valid-non-ascii')
    const answer = await fetch(url, { headers: { 'x-session-assertion': odd?.token ?? '' } })
    expect(await answer.text()).toContain('王芳')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})
