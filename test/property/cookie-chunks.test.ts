import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunkCapacityOf, chunkLines, chunkNamesOf, clearChunkLines, splitChunks } from '../../src/http/cookie-chunks.ts'
import type { CookieAttributes } from '../../src/http/cookie.ts'
import type { EpochMs } from '../../src/session/session.ts'

const NOW = Date.UTC(2030, 0, 1) as EpochMs
const cookie: CookieAttributes = { name: '__Host-session', domain: undefined, path: '/', secure: true, httpOnly: true, sameSite: 'strict', partitioned: true }
const NAMES = chunkNamesOf(cookie.name)
const capacity = chunkCapacityOf(cookie)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const text = fc.tuple(fc.integer({ min: 1, max: capacity }), fc.integer()).map(([length, seed]) => {
  let state = seed >>> 0
  return Array.from({ length }, () => ALPHABET[(state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 26]).join('')
})
/** `name=value` of each line that sets. */
const pairsOf = (lines: readonly string[]): string[] => lines.filter((line) => !line.includes('Max-Age=0')).map((line) => line.slice(0, line.indexOf(';')))
const candidatesOf = (pairs: readonly string[]): readonly string[] => splitChunks([pairs.join('; ')], NAMES).candidates

test('what was cut is whole again, in any order and among other cookies, and each line is one a browser keeps', () => {
  fc.assert(fc.property(text, fc.option(fc.integer({ min: 1_000, max: 4e13 }), { nil: undefined }), fc.boolean(), (whole, lifetime, isReversed) => {
    const lines = chunkLines(cookie, whole, lifetime === undefined ? undefined : NOW + lifetime as EpochMs, NOW, [])
    expect(lines.length).toBeLessThanOrEqual(3)
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4_096)
    const pairs = ['a=1', ...pairsOf(lines), `${cookie.name}.3=x`, 'b=2']
    const { candidates, rest, extra } = splitChunks([(isReversed ? pairs.toReversed() : pairs).join('; ')], NAMES)
    expect(candidates).toEqual([whole])
    expect(rest.join('; ').split('; ').toSorted()).toEqual([`${cookie.name}.3=x`, 'a=1', 'b=2'])
    expect(extra).toEqual(NAMES.slice(1, lines.length))
  }), { numRuns: 60 })
})

test('any proper part of a set, and any mix of two, is not the text', () => {
  fc.assert(fc.property(text, text, fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), (one, other, picks) => {
    fc.pre(one !== other)
    const [mine, theirs] = [pairsOf(chunkLines(cookie, one, undefined, NOW, [])), pairsOf(chunkLines(cookie, other, undefined, NOW, []))]
    fc.pre(mine.length > 1 && mine.length === theirs.length)
    for (let cut = 1; cut < mine.length; cut++) expect(candidatesOf(mine.slice(0, cut))).not.toContain(one)
    expect(candidatesOf(mine.slice(1))).toEqual([])
    const mixed = mine.map((pair, at) => (picks[at] ? pair : theirs[at] as string))
    const isPure = picks.slice(0, mine.length).every((pick) => pick === picks[0])
    if (!isPure) for (const candidate of candidatesOf(mixed)) expect([one, other]).not.toContain(candidate)
  }), { numRuns: 60 })
})

test('parts under each other\'s names are not the text', () => {
  const whole = Array.from({ length: capacity }, (_, at) => ALPHABET[at % 61]).join('')
  const [first, second, third] = pairsOf(chunkLines(cookie, whole, undefined, NOW, [])).map((pair) => pair.slice(pair.indexOf('=') + 1))
  const swapped = [[second, first, third], [first, third, second], [third, second, first]]
  for (const values of swapped) expect(candidatesOf(values.map((value, at) => `${NAMES[at]}=${value}`))).not.toContain(whole)
  expect(candidatesOf([first, second, third].map((value, at) => `${NAMES[at]}=${value}`))).toEqual([whole])
})

test('the capacity is exact: one character more does not fit', () => {
  expect(chunkLines(cookie, 'x'.repeat(capacity), NOW, NOW, [])).toHaveLength(3)
  expect(() => chunkLines(cookie, 'x'.repeat(capacity + 1), NOW, NOW, [])).toThrow(RangeError)
  expect(capacity).toBeGreaterThan(11_000)
})

test('what an earlier, longer text left is deleted, and only that', () => {
  const short = chunkLines(cookie, 'c1.abc', undefined, NOW, [NAMES[1], NAMES[2]])
  expect(short.map((line) => line.slice(0, line.indexOf('=')))).toEqual([...NAMES])
  expect(short.slice(1).every((line) => line.includes('Max-Age=0') && line.endsWith('; Path=/; Secure; HttpOnly; SameSite=Strict; Partitioned'))).toBe(true)
  expect(chunkLines(cookie, 'x'.repeat(5_000), undefined, NOW, [NAMES[1]])).toHaveLength(2)
  expect(clearChunkLines(cookie, [NAMES[2]]).map((line) => line.slice(0, line.indexOf(';')))).toEqual([`${NAMES[0]}=`, `${NAMES[2]}=`])
})

test('whatever comes: no error, nothing of ours is left, nothing else is lost', () => {
  const value = fc.oneof(fc.stringMatching(/^[23]\.[A-Za-z]{11}\.[a-z.]{0,3}$/), fc.stringMatching(/^[0-9.a-z]{0,20}$/))
  const pair = fc.tuple(fc.constantFrom<string>(...NAMES, 'other', `${cookie.name}.`, `${cookie.name}.11`), value).map(([name, content]) => `${name}=${content}`)
  fc.assert(fc.property(fc.array(fc.array(pair, { maxLength: 6 }), { maxLength: 3 }), (lines) => {
    const { candidates, rest } = splitChunks(lines.map((pairs) => pairs.join('; ')), NAMES)
    const nameOf = (one: string): string => one.slice(0, one.indexOf('='))
    const isOurs = (one: string): boolean => (NAMES as readonly string[]).includes(nameOf(one))
    expect(candidates).toHaveLength(lines.flat().filter((one) => nameOf(one) === NAMES[0]).length)
    expect(rest.filter((line) => line !== '')).toEqual(lines.map((pairs) => pairs.filter((one) => !isOurs(one)).join('; ')).filter((line) => line !== ''))
  }))
})
