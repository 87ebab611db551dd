import fc from 'fast-check'
import { expect, test } from 'vitest'
import { splitCookies } from '../../src/http/cookie.ts'

const NAME = '__Host-session'
/** Pieces that make trouble for whoever splits cookies by guessing. */
const piece = fc.constantFrom(NAME, NAME.toLowerCase(), 'a', '=', ';', ' ', '\t', '"', ',', '\xa0', '\x85', '\xff', '; ', `${NAME}=`, 'b=1', '%3B', '\\')
const chaos = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''))
const plainPair = fc.stringMatching(/^[a-z]{1,5}=[\x21-\x3a\x3c-\x7e\x80-\xff]{0,8}$/)
const ownPair = fc.stringMatching(/^[A-Za-z0-9._-]{0,12}$/).map((value) => `${NAME}=${value}`)

test('other cookies keep every byte and their order, wherever ours stands', () => {
  fc.assert(fc.property(fc.array(fc.oneof(plainPair, ownPair), { maxLength: 12 }), (pairs) => {
    const others = pairs.filter((pair) => !pair.startsWith(NAME))
    const { candidates, rest } = splitCookies([pairs.join('; ')], NAME)
    expect(rest.join('; ')).toBe(others.join('; '))
    expect(candidates).toEqual(pairs.filter((pair) => pair.startsWith(NAME)).map((pair) => pair.slice(NAME.length + 1)))
  }))
})

test('whatever comes: nothing of ours is left, nothing else is lost or made up, and a second look finds no more', () => {
  fc.assert(fc.property(fc.array(chaos, { maxLength: 4 }), (lines) => {
    const { candidates, rest } = splitCookies(lines, NAME)
    const pairsOf = (text: readonly string[]): string[] => text.flatMap((line) => line.split(';')).map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ''))
    const isOurs = (pair: string): boolean => pair === NAME || new RegExp(`^${NAME}[ \t]*(=|$)`).test(pair)
    const before = pairsOf(lines)
    expect(candidates).toHaveLength(before.filter(isOurs).length)
    expect(pairsOf(rest).filter(isOurs)).toEqual([])
    expect(pairsOf(rest).filter((pair) => pair !== '')).toEqual(before.filter((pair) => !isOurs(pair) && pair !== ''))
    expect(splitCookies(rest, NAME)).toEqual({ candidates: [], rest })
    for (const line of lines) if (!line.includes(NAME)) expect(rest).toContain(line)
  }))
})

test('the order of lines and of cookies does not change which candidates there are', () => {
  fc.assert(fc.property(fc.array(fc.oneof(plainPair, ownPair), { maxLength: 8 }), (pairs) => {
    const forwards = splitCookies([pairs.join('; ')], NAME).candidates
    const backwards = splitCookies([...pairs].reverse(), NAME).candidates
    expect([...backwards].sort()).toEqual([...forwards].sort())
  }))
})
