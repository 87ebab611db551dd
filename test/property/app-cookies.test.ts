import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bySendingOrder, createJarShelf, isSentTo, parseSetCookie, type StoredCookie } from '../../src/adapters/cookies/jar.ts'
import { mapCookiePairs } from '../../src/adapters/cookies/request-pairs.ts'
import { createRuleFinder, nameExactly, nameLike } from '../../src/adapters/cookies/rules.ts'
import { createCookieSealer } from '../../src/adapters/cookies/seal.ts'
import { createRecent } from '../../src/recent.ts'
import { applyChange, joinMutations, type Change, type Mutation } from '../../src/session/mutation.ts'
import type { EpochMs, Json, JsonObject, Session } from '../../src/session/session.ts'

const NOW = 1_800_000_000_000 as EpochMs
const PLACE = { host: 'shop.example.com', path: '/app/x' }
const latin1 = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 80 })
const token = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-.!~*'), minLength: 1, maxLength: 12 })
const cookieValue = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-.!~*="/+'), maxLength: 30 })

test('any line is read or ignored, and what is read is stored and found again as it was', () => {
  const shelf = createJarShelf('app')
  fc.assert(fc.property(fc.oneof(latin1, fc.tuple(token, cookieValue, latin1).map(([name, value, rest]) => `${name}=${value}; ${rest}`)), (line) => {
    const cookie = parseSetCookie(line, PLACE, NOW)
    if (!cookie) return
    const jar = { [shelf.nameOf(cookie)]: shelf.entryOf(cookie), 'text:session:a': '1', 'cookie\nother\nx\n/\na': { v: 'theirs', c: 1 } }
    expect(shelf.read(JSON.parse(JSON.stringify(jar)) as JsonObject)).toEqual([cookie])
    expect([PLACE.host, 'example.com']).toContain(cookie.domain)
    expect(cookie.path.startsWith('/')).toBe(true)
  }), { numRuns: 2_000 })
})

test('name and value come back to the app byte for byte', () => {
  fc.assert(fc.property(token, cookieValue, (name, value) => {
    const cookie = parseSetCookie(`${name}=${value}; Path=/`, PLACE, NOW)
    expect(cookie).toMatchObject({ name, value, expiresAt: undefined, isHostOnly: true })
    expect(isSentTo(cookie as StoredCookie, PLACE, NOW)).toBe(true)
  }))
})

test('no host gets what was set for another', () => {
  const hosts = ['shop.example.com', 'example.com', 'other.com', 'evilexample.com', '127.0.0.1', 'com']
  fc.assert(fc.property(fc.constantFrom(...hosts), fc.option(fc.constantFrom(...hosts, '.example.com', 'COM')), fc.constantFrom(...hosts), (setBy, domain, sentTo) => {
    const cookie = parseSetCookie(`a=1; Path=/${domain === null ? '' : `; Domain=${domain}`}`, { host: setBy, path: '/' }, NOW)
    if (!cookie || !isSentTo(cookie, { host: sentTo, path: '/' }, NOW)) return
    const isSameSite = [setBy, sentTo].every((host) => host === 'example.com' || host.endsWith('.example.com'))
    expect(setBy === sentTo || (domain !== null && isSameSite)).toBe(true)
  }))
})

test('the order of sending is a total one: longer paths first, then the earlier', () => {
  const cookie = fc.record({ path: fc.constantFrom('/', '/a', '/a/b'), createdAt: fc.integer({ min: 0, max: 5 }) })
  fc.assert(fc.property(fc.array(cookie), (cookies) => {
    const sorted = cookies.map((one) => one as unknown as StoredCookie).sort(bySendingOrder)
    sorted.slice(1).forEach((one, i) => {
      const before = sorted[i] as StoredCookie
      expect(before.path.length > one.path.length || (before.path.length === one.path.length && before.createdAt <= one.createdAt)).toBe(true)
    })
  }))
})

test('what no rule takes passes byte for byte; what one takes is gone', () => {
  fc.assert(fc.property(fc.array(latin1, { maxLength: 4 }), (lines) => {
    expect(mapCookiePairs(lines, () => undefined)).toEqual(lines.filter((line) => line.trim() !== ''))
    expect(mapCookiePairs(lines, () => '')).toEqual([])
  }))
  fc.assert(fc.property(fc.array(fc.tuple(token, cookieValue), { minLength: 1, maxLength: 8 }), (pairs) => {
    const [[taken] = ['']] = pairs
    const left = mapCookiePairs([pairs.map(([name, value]) => `${name}=${value}`).join('; ')], ({ name }) => (name === taken ? '' : undefined))
    expect(left.join('')).toBe(pairs.filter(([name]) => name !== taken).map(([name, value]) => `${name}=${value}`).join('; '))
  }))
})

test('a rule by name is for that name alone; a pattern for what it spells, with * for anything', () => {
  fc.assert(fc.property(token, token, (name, other) => {
    const ruleOf = createRuleFinder([{ names: nameExactly(name), do: 'drop', adopts: undefined, lifetimeMs: 0 }])
    expect(ruleOf(name).do).toBe('drop')
    expect(ruleOf(other).do).toBe(other === name ? 'drop' : 'pass')
    const [before, after] = [name.replaceAll('*', ''), other.replaceAll('*', '')]
    expect(nameLike(`${before}*${after}`).test(`${before}anything${after}`)).toBe(true)
    expect(nameLike(`${before}*`).test(`?${before}`)).toBe(before === '')
  }))
})

test('a sealed value opens for its name, its app and its user, and for nothing else', () => {
  const keys = [{ id: 'c2', secret: 'two' }, { id: 'c1', secret: 'one' }]
  const sealer = createCookieSealer(keys, 'app')
  const retired = createCookieSealer(keys.slice(1), 'app')
  const elsewhere = createCookieSealer(keys, 'other')
  fc.assert(fc.property(token, latin1, fc.option(fc.string(), { nil: undefined }), fc.nat(), (name, value, subject, at) => {
    const sealed = sealer.seal(name, value, subject)
    expect(sealed).toMatch(/^c2\.[\w-]+$/)
    expect(sealer.open(name, sealed, subject)).toBe(value)
    expect(sealer.open(name, retired.seal(name, value, subject), subject)).toBe(value)
    expect(sealer.open(`${name}x`, sealed, subject)).toBeUndefined()
    expect(elsewhere.open(name, sealed, subject)).toBeUndefined()
    expect(sealer.open(name, sealed, `${subject}x`)).toBe(subject === undefined ? value : undefined)
    const bytes = Buffer.from(sealed.slice(3), 'base64url')
    bytes[at % bytes.length]! ^= 1
    expect(sealer.open(name, `c2.${bytes.toString('base64url')}`, subject)).toBeUndefined()
  }))
})

test('no text makes the sealer throw', () => {
  const sealer = createCookieSealer([{ id: 'c1', secret: 'one' }], 'app')
  fc.assert(fc.property(fc.oneof(latin1, latin1.map((text) => `c1.${text}`)), (text) => { expect(sealer.open('a', text, undefined)).toBeUndefined() }))
})

test('what is remembered is what was set last, within the bound', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat()), { maxLength: 50 }), (entries) => {
    const recent = createRecent<number>(3)
    const last = new Map<string, number>()
    for (const [key, value] of entries) {
      recent.set(key, value, 1)
      last.set(key, value)
      expect(recent.get(key)).toBe(value)
    }
    for (const [key, value] of last) expect([value, undefined]).toContain(recent.get(key))
  }))
})

const session = (data: JsonObject, jar?: JsonObject): Session => ({
  id: 'id' as Session['id'], handle: 'h', createdAt: NOW, touchedAt: NOW, permanent: false, idleMs: 1, absoluteMs: 1, data, ...(jar ? { jar } : {}),
})
const edit = (more: Partial<Change>): Change => ({
  kind: 'change', patch: {}, base: 'keep', rotate: false, ifVersion: undefined, lifetime: { permanent: undefined, idleMs: undefined, absoluteMs: undefined }, ...more,
})
const edits = fc.array(fc.tuple(fc.constantFrom('a', 'b', '__proto__', 'constructor'), fc.option(fc.jsonValue() as fc.Arbitrary<Json>, { nil: undefined }))).map((list) => new Map(list))

test('members are replaced whole or removed, and nothing else is touched; twice is once', () => {
  fc.assert(fc.property(edits, edits, (members, jar) => {
    const before = session({ a: { deep: 1 }, other: [1] }, { kept: 'x' })
    const after = applyChange(before, edit({ members, jar }))
    for (const [name, value] of members) expect(Object.hasOwn(after.data, name) ? after.data[name] : undefined).toEqual(value)
    for (const [name, value] of jar) expect(Object.hasOwn(after.jar ?? {}, name) ? after.jar?.[name] : undefined).toEqual(value)
    expect(after.data['other']).toEqual([1])
    expect(after.jar?.['kept']).toBe('x')
    expect(applyChange(after, edit({ members, jar }))).toEqual(after)
  }))
})

test('two mutations joined do what both do, one after the other', () => {
  const mutation = fc.oneof(fc.constant<Mutation>({ kind: 'none' }), fc.tuple(edits, edits).map(([members, jar]): Mutation => edit({ members, jar })))
  fc.assert(fc.property(mutation, mutation, (one, two) => {
    const run = (start: Session, what: Mutation): Session => (what.kind === 'change' ? applyChange(start, what) : start)
    const start = session({ a: 1, other: 2 }, {})
    expect(run(start, joinMutations(one, two))).toEqual(run(run(start, one), two))
    expect(joinMutations(one, { kind: 'destroy' })).toEqual({ kind: 'destroy' })
    expect(joinMutations({ kind: 'destroy' }, two)).toEqual({ kind: 'destroy' })
  }))
})
