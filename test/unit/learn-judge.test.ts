import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { createFactBook } from '../../src/learn/cookie-facts.ts'
import { proposeRules, type ProposedRule } from '../../src/learn/judge.ts'
import { fragmentOf } from '../../src/learn/proposal-text.ts'
import { createDigester, randomBitsOf, type SeenExchange, type SeenSetCookie } from '../../src/learn/seen.ts'
import { load, minimalWith } from '../support/config-samples.ts'

const digester = createDigester()
const DAY = 86_400_000
const RANDOM = ['k3J9xQ2mVb7TzR4wLp8N', 'a8Zc1Yf5Hd0Ug6Ks2EoM', 'Wq4Bn7Xt9Rj3Pv1Ci5Dl', 'm2Gy8Lh4Qs6Tf0Ne3Ka7']

interface Step {
  readonly kind?: 'login' | 'logout'
  readonly sends?: Readonly<Record<string, string>>
  readonly fields?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly sets?: readonly (Partial<Omit<SeenSetCookie, 'value'>> & { readonly name: string; readonly value: string })[]
}

function exchangeOf({ kind, sends = {}, fields = {}, headers = {}, sets = [] }: Step): SeenExchange {
  const seen = (members: Readonly<Record<string, string>>) => Object.entries(members).map(([name, value]) => digester.fieldOf(name, value))
  return {
    isLogin: kind === 'login', isLogout: kind === 'logout',
    cookies: Object.entries(sends).map(([name, value]) => ({ name, value: digester.valueOf(value) })),
    fields: seen(fields), headers: seen(headers),
    setCookies: sets.map(({ value, ...line }) => ({ isDeletion: value === '', isHttpOnly: false, path: '/', domain: undefined, lifetimeMs: undefined, ...line, value: digester.valueOf(value) })),
  }
}

function rulesAfter(steps: readonly Step[]): readonly ProposedRule[] {
  const book = createFactBook()
  for (const step of steps) book.record(exchangeOf(step))
  return proposeRules(book.facts())
}

const [one, two, three, four] = RANDOM as [string, string, string, string]
const set = (name: string, value: string, more: Partial<Omit<SeenSetCookie, 'name' | 'value'>> = {}) => ({ name, value, ...more })
const hidden = { isHttpOnly: true }

interface Row { readonly id: string; readonly steps: readonly Step[]; readonly name: string; readonly rule: Partial<ProposedRule>; readonly why: readonly (string | RegExp)[] }

const rows: readonly Row[] = [
  { id: 'L1 a session by its name', steps: [{ sets: [set('connect.sid', `s%3A${one}.${two}`, hidden)] }], name: 'connect.sid', rule: { do: 'store', adopt: false }, why: ['the session of Express, by its name', 'HttpOnly', /^looks random/, 'ends with the browser'] },
  { id: 'L2 a session of no known name', steps: [{ sets: [set('shop', one, hidden)] }, { kind: 'login', sends: { shop: one }, sets: [set('shop', two, hidden)] }, { kind: 'logout', sends: { shop: two }, sets: [set('shop', '', hidden)] }], name: 'shop', rule: { do: 'store', adopt: false }, why: ['changes at login', 'deleted at logout'] },
  { id: 'L3 set at login only, though scripts can read it', steps: [{ kind: 'login', sets: [set('auth', one)] }], name: 'auth', rule: { do: 'store' }, why: ['set at login only', 'scripts can read it'] },
  { id: 'L4 a JWT that anybody can read', steps: [{ sets: [set('jwt', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln', hidden)] }], name: 'jwt', rule: { do: 'store' }, why: [/whoever holds it can read it/] },
  { id: 'L5 brought along from before', steps: [{ sends: { PHPSESSID: one } }, { sends: { PHPSESSID: one }, sets: [set('PHPSESSID', two, hidden)] }], name: 'PHPSESSID', rule: { do: 'store', adopt: true }, why: [/adopt/] },
  { id: 'L6 a session that was never set while we looked', steps: [{ sends: { JSESSIONID: one } }], name: 'JSESSIONID', rule: { do: 'store', adopt: true }, why: ['the app was not seen to set it'] },
  { id: 'L7 sessions below a path', steps: [{ sets: [set('JSESSIONID', one, { ...hidden, path: '/shop' })] }], name: 'JSESSIONID', rule: { do: 'store', paths: ['/shop'] }, why: [] },
  { id: 'L7b sessions at several paths', steps: [{ sets: [set('sid', one, { ...hidden, path: '/' }), set('sid', two, { ...hidden, path: '/admin' })] }], name: 'sid', rule: { do: 'store', paths: ['/', '/admin'] }, why: [] },
  { id: 'L8 a CSRF token by its name', steps: [{ sets: [set('csrftoken', one, { lifetimeMs: 364 * DAY })] }], name: 'csrftoken', rule: { do: 'pass' }, why: ['a CSRF token, by its name', /browser has to hold it/] },
  { id: 'L9 double submit by header', steps: [{ sets: [set('guard', one)] }, { sends: { guard: one }, headers: { 'X-Guard': one } }], name: 'guard', rule: { do: 'pass' }, why: [/header X-Guard \(double submit\)/] },
  { id: 'L10 double submit by form field, percent-encoded in the cookie', steps: [{ sets: [set('guard', `${one}%3D%3D`, hidden)] }, { sends: { guard: `${one}%3D%3D` }, fields: { _token: `${one}==` } }], name: 'guard', rule: { do: 'pass' }, why: [/form field _token/] },
  { id: 'L11 remember me by its name', steps: [{ kind: 'login', sets: [set('remember_me', one, { ...hidden, lifetimeMs: 30 * DAY })] }], name: 'remember_me', rule: { do: 'encrypt' }, why: [/remember me: it lives 30 days/] },
  { id: 'L12 remember me beside a session cookie', steps: [{ kind: 'login', sets: [set('sid', one, hidden), set('keep', two, { ...hidden, lifetimeMs: 14 * DAY })] }], name: 'keep', rule: { do: 'encrypt' }, why: [/beside a session cookie/] },
  { id: 'L13 a session that lives for days is still the session', steps: [{ kind: 'login', sets: [set('sessionid', one, { ...hidden, lifetimeMs: 14 * DAY })] }], name: 'sessionid', rule: { do: 'store', neededLifetimeMs: 14 * DAY }, why: ['lives 14 days'] },
  { id: 'L14 analytics of scripts', steps: [{ sends: { _ga: 'GA1.1.1234567890.1600000000', _ga_ABC123: 'GS1.1.1' } }], name: '_ga*', rule: { do: 'drop', isPattern: true }, why: [/Google Analytics/, /set by scripts/] },
  { id: 'L15 analytics the app sets itself', steps: [{ sets: [set('_fbp', 'fb.1.1')] }], name: '_fbp', rule: { do: 'pass' }, why: ['the app itself sets it'] },
  { id: 'L16 a preference', steps: [{ sets: [set('theme', 'dark', { lifetimeMs: 365 * DAY })] }], name: 'theme', rule: { do: 'pass' }, why: ['easily guessed', /no sign/] },
  { id: 'L17 a hidden preference, which may be a role', steps: [{ sets: [set('role', 'admin', hidden)] }], name: 'role', rule: { do: 'encrypt' }, why: [/nobody can change it/] },
  { id: 'L18 scripts write it', steps: [{ sets: [set('cart', 'a')] }, { sends: { cart: 'a,b' } }], name: 'cart', rule: { do: 'pass' }, why: [/scripts write it, too/] },
  { id: 'L19 scripts alone set it', steps: [{ sends: { consent: 'yes' } }], name: 'consent', rule: { do: 'pass' }, why: [/not seen to set it/] },
  { id: 'L20 a load balancer\'s', steps: [{ sets: [set('AWSALB', one)] }], name: 'AWSALB', rule: { do: 'pass' }, why: [/load balancer/] },
  { id: 'L21 names that end in a hash', steps: [{ sets: [set('wordpress_logged_in_0123456789abcdef0123456789abcdef', one, hidden)] }], name: 'wordpress_logged_in_*', rule: { do: 'store', isPattern: true }, why: ['the session of WordPress, by its name'] },
  { id: 'L22 other names that end in a hash', steps: [{ kind: 'login', sets: [set('login_web_59ba36addc2b2f9401580f014c7f58ea', one, hidden)] }], name: 'login_web_*', rule: { do: 'store', isPattern: true }, why: [] },
  { id: 'L23 what WordPress\'s scripts write', steps: [{ sets: [set('wp-settings-1', 'libraryContent%3Dbrowse', { lifetimeMs: 365 * DAY })] }], name: 'wp-settings-*', rule: { do: 'pass', isPattern: true }, why: [/preference/] },
  { id: 'L24 random, and no sign of a login', steps: [{ sets: [set('visitor', one)] }, { kind: 'login', sets: [set('visitor', one)] }], name: 'visitor', rule: { do: 'pass' }, why: [/looks random/] },
]

test.each(rows)('$id', ({ steps, name, rule, why }) => {
  const found = rulesAfter(steps).find((candidate) => candidate.name === name)
  expect(found).toMatchObject(rule)
  for (const reason of why) {
    expect(found?.reasons.some((text) => (typeof reason === 'string' ? text === reason : reason.test(text))), `${String(reason)} in ${found?.reasons.join('; ')}`).toBe(true)
  }
})

describe('what the operator has to look at', () => {
  test.each([
    ['a domain that other hosts share', [{ sets: [set('sid', one, { ...hidden, domain: 'example.com' })] }], /set for example.com: other hosts/],
    ['a session scripts could read', [{ kind: 'login', sets: [set('auth', one)] }], /not HttpOnly/],
    ['a sealed login', [{ kind: 'login', sets: [set('remember_token', one, { ...hidden, lifetimeMs: 30 * DAY })] }], /until it expires/],
    ['random for whatever reason', [{ sets: [set('visitor', one)] }, { sets: [set('visitor', two)] }], /if the app takes it for a login/],
  ] as [string, Step[], RegExp][])('%s', (_what, steps, check) => {
    expect(rulesAfter(steps)[0]?.checks.join('\n')).toMatch(check)
  })
})

test('names come before patterns, longer ones first: the first rule that fits counts', () => {
  const rules = rulesAfter([{ sends: { _ga: '1', _ga_X: '1' }, sets: [set('b', 'x'), set('wordpress_test_cookie', 'WP+Cookie+check'), set('wordpress_0123456789abcdef0123456789abcdef', three, hidden), set('wordpress_sec_0123456789abcdef0123456789abcdef', four, hidden)] }])
  expect(rules.map(({ name }) => name)).toEqual(['wordpress_test_cookie', 'b', 'wordpress_sec_*', 'wordpress_*', '_ga*'])
})

test('names no rule can say, and too many of them, are counted and left out', () => {
  const book = createFactBook()
  book.record(exchangeOf({ sends: { 'a b': '1', 'a*': '1', 'é': '1' } }))
  for (let n = 0; n < 600; n++) book.record(exchangeOf({ sends: { [`c${n}`]: '1' } }))
  expect(book.facts()).toHaveLength(500)
  expect(book.totals()).toMatchObject({ requests: 601, unnameable: 103 })
})

test('the fragment is a configuration once the keys are beside it, whatever cookies are called', async () => {
  const book = createFactBook()
  for (const { steps } of rows) for (const step of steps) book.record(exchangeOf(step))
  book.record(exchangeOf({ sets: [set('no', 'x'), set('1e3', 'x'), set('#a', 'x'), set('{a}', 'x'), set('&a', 'x'), set('!a', 'x'), set('null', 'x')] }))
  const rules = proposeRules(book.facts())
  const fragment = fragmentOf(rules, 'http://127.0.0.1:5000', book.totals())
  const { config } = await load({ ...minimalWith({}) as object, ...parse(fragment) as object })
  expect(config.routes[0]?.cookies.map(({ name, pattern, do: action }) => [name ?? pattern, action])).toEqual(rules.map(({ name, do: action }) => [name, action]))
  expect(fragment).toContain('# session: { idle: 14d, absolute: 14d }')
})

test('a cookie with the name of the gateway\'s own, as Flask has, makes that one be called something else', async () => {
  const book = createFactBook()
  book.record(exchangeOf({ kind: 'login', sets: [set('session', 'eyJ1c2VyIjoiYW5uIn0.Zx9aBQ.c2lnbmF0dXJlLW9mLWZsYXNr', hidden)] }))
  const rules = proposeRules(book.facts())
  expect(rules[0]).toMatchObject({ name: 'session', do: 'store', checks: [expect.stringContaining('adapter: { kind: flask')] })
  const fragment = fragmentOf(rules, 'http://127.0.0.1:5000', book.totals())
  const { config, warnings } = await load({ ...minimalWith({}) as object, ...parse(fragment) as object })
  expect([config.routes[0]?.cookies[0]?.name, config.session.cookie.name, warnings]).toEqual(['session', 'gate-session', []])
})

test.each([
  ['dark', 0], ['2026-11-21T12:00:00Z', 0], ['preferences-of-a-very-long-name', 0], ['a%3D1%26b%3D2', 0], ['GA1.1.1234567890.1600000000', 0],
])('%s is not random', (value, bits) => {
  expect(randomBitsOf(value)).toBe(bits)
})

test.each([
  '5f4dcc3b5aa765d61d8327deb882cf99', '1f0e5c1a-7d0b-4b7e-9c3a-2a4f6e8d0c1b', 'k3J9xQ2mVb7TzR4wLp8N', 's:AbC123xyzAbC456xyzQ.Zx9', '0D5F7C1B2A3E4F60718293A4B5C6D7E8.node1',
])('%s is random', (value) => {
  expect(randomBitsOf(value)).toBeGreaterThan(55)
})
