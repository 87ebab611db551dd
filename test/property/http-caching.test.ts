import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cacheControlFor, varyByCookie } from '../../src/http/caching.ts'

const name = fc.constantFrom('Accept', 'cookie', 'COOKIE', 'Accept-Encoding', '*', 'X-Cookie', '', ' ')
const varyLines = fc.array(fc.array(name, { maxLength: 4 }).map((names) => names.join(fc.sample(fc.constantFrom(',', ', ', ' , '), 1)[0])), { maxLength: 3 })

test('Vary always says Cookie, or everything; keeps what it said; and says it once', () => {
  fc.assert(fc.property(varyLines, (lines) => {
    const vary = varyByCookie(lines)
    const members = vary.split(',').map((member) => member.trim().toLowerCase())
    expect(members.some((member) => member === 'cookie' || member === '*')).toBe(true)
    for (const member of lines.join(',').split(',').map((text) => text.trim().toLowerCase()).filter((text) => text !== '')) expect(members).toContain(member)
    expect(varyByCookie([vary])).toBe(vary)
  }))
})

const directive = fc.constantFrom(
  'public', 'Public', 'private', 'PRIVATE', 'no-store', 'no-cache', 'max-age=60', 's-maxage=600', 'S-MaxAge = 5', 'must-revalidate', 'proxy-revalidate', 'immutable', 'stale-while-revalidate=5',
  'private="Set-Cookie, X-A"', 'no-cache="Set-Cookie, public"', 'ext="a\\", public"', 'ext="open, private', '', ' ', '"', '=',
)
const lines = fc.array(fc.array(directive, { maxLength: 5 }).map((directives) => directives.join(', ')), { maxLength: 3 })

test('a response made for a session is for its browser alone', () => {
  fc.assert(fc.property(lines, (said) => {
    const result = cacheControlFor(said, false, true)!
    const names = unquoted(result).map((text) => text.toLowerCase())
    expect(names.some((text) => text === 'private' || text === 'no-store')).toBe(true)
    if (!names.includes('no-store')) expect(names.filter((text) => ['public', 's-maxage'].includes(text.split('=')[0]!.trim()))).toEqual([])
    expect(cacheControlFor([result], false, true)).toBe(result)
  }), { numRuns: 2_000 })
})

test('what does not speak of shared caches is kept', () => {
  fc.assert(fc.property(fc.subarray(['no-cache', 'max-age=60', 'must-revalidate', 'immutable', 'no-cache="Set-Cookie, X"', 'ext="a, b"']), (kept) => {
    expect(cacheControlFor(['public', ...kept], false, true)).toBe(['private', ...kept].join(', '))
  }))
})

test('with a cookie of ours nothing may be kept; without a session nothing is changed', () => {
  fc.assert(fc.property(lines, fc.boolean(), (said, hasSession) => {
    expect(cacheControlFor(said, true, hasSession)).toBe('no-store')
    expect(cacheControlFor(said, false, false)).toBe(said.length === 0 ? undefined : said.join(', '))
  }))
})

function unquoted(line: string): string[] {
  return line.replace(/"(?:[^"\\]|\\.)*("|\\?$)/gs, '""').split(',').map((text) => text.trim())
}
