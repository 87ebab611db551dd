import { expect, test } from 'vitest'
import { clearCookieLine, setCookieLine, type CookieAttributes } from '../../src/http/cookie.ts'
import { cookieNameOf } from '../../src/http/response-headers.ts'
import type { EpochMs } from '../../src/session/session.ts'

const NOW = Date.UTC(2030, 0, 1) as EpochMs
const DAY = 86_400_000
const cookie: CookieAttributes = { name: 'sid', domain: undefined, path: '/', secure: true, httpOnly: true, sameSite: 'lax', partitioned: false }

test('a cookie of the browser session has no expiry', () => {
  expect(setCookieLine(cookie, 'v', undefined, NOW)).toBe('sid=v; Path=/; Secure; HttpOnly; SameSite=Lax')
})

test.each<[number, number]>([[DAY, 86_400], [1_500, 2], [0, 0], [-DAY, 0], [4_000 * DAY, 400 * 86_400]])('one that lives %i ms says Max-Age=%i, and Expires says the same', (lifetime, maxAge) => {
  const line = setCookieLine(cookie, 'v', NOW + lifetime as EpochMs, NOW)
  expect(line).toContain(`; Max-Age=${maxAge};`)
  expect(Date.parse(/Expires=([^;]+)/.exec(line)![1]!)).toBe(NOW + maxAge * 1_000)
})

test.each<[Partial<CookieAttributes>, string]>([
  [{}, '; Path=/; Secure; HttpOnly; SameSite=Lax'], [{ domain: 'example.com', path: '/app' }, '; Domain=example.com; Path=/app; Secure; HttpOnly; SameSite=Lax'],
  [{ secure: false, httpOnly: false, sameSite: 'omit' }, '; Path=/'], [{ sameSite: 'none', partitioned: true }, '; Path=/; Secure; HttpOnly; SameSite=None; Partitioned'],
])('%j: the same attributes when it is set and when it is deleted', (changes, attributes) => {
  expect(setCookieLine({ ...cookie, ...changes }, 'v', undefined, NOW)).toBe(`sid=v${attributes}`)
  expect(clearCookieLine({ ...cookie, ...changes })).toBe(`sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0${attributes}`)
})

test.each([['a=1', 'a'], ['a=1; b=2', 'a'], [' a =1', 'a'], ['a', 'a'], ['a; b', 'a'], ['=a=1', 'a'], [' = a =1', 'a'], ['==a', ''], ['', ''], [';a=1', '']])('%j sets %j', (line, name) => {
  expect(cookieNameOf(line)).toBe(name)
})
