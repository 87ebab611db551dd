import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RequestInvalidError } from '../../src/errors.ts'
import { stripPrefix } from '../../src/gateway/mount.ts'
import { parseTarget, type RequestTarget } from '../../src/gateway/target.ts'

const piece = fc.constantFrom('/', '//', '.', '..', '%2e', '%2E', '%2f', '%5c', '\\', '?', '#', '%', '%zz', '%41', 'a', 'http://', 'HTTPS://', 'ftp:', '@', ':', '80', '[::1]', 'host', '*', ' ', '\x00', '\xff', ';', '=', '&', '%00', '%25')
const target = fc.oneof(fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')), fc.string({ unit: 'binary-ascii' }), fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.webPath().map((path) => `/${path}`))
const method = fc.constantFrom('GET', 'POST', 'OPTIONS')

function parsed(url: string, verb: string): RequestTarget | undefined {
  try {
    return parseTarget(url, verb)
  } catch (error) {
    expect(error).toBeInstanceOf(RequestInvalidError)
    return undefined
  }
}

test('a target is parsed or refused, nothing else; what goes on is the end of what came, and stays what it is', () => {
  fc.assert(fc.property(target, method, (url, verb) => {
    const result = parsed(url, verb)
    if (!result) return
    expect(url.endsWith(result.origin.slice(1))).toBe(true)
    if (url.startsWith('/')) expect(result.origin).toBe(url)
    expect(result.origin).toMatch(/^(\/|\*$)/)
    expect(parsed(result.origin, verb)).toEqual({ ...result, authority: undefined })
  }), { numRuns: 2_000 })
})

test('no dot segment, fragment, backslash, space or control character gets through, encoded or not', () => {
  fc.assert(fc.property(target, (url) => {
    const result = parsed(url, 'GET')
    if (!result) return
    expect([...result.origin].filter((character) => character <= ' ' || '#\\\x7f'.includes(character))).toEqual([])
    const [path = ''] = result.origin.split('?')
    for (const segment of decodeURIComponentLoosely(path).split(/[/\\]/)) expect(['.', '..']).not.toContain(segment)
  }), { numRuns: 2_000 })
})

test('with an authority, it is the one a browser sees', () => {
  fc.assert(fc.property(fc.webUrl(), (url) => {
    const result = parsed(url, 'GET')
    if (result?.authority !== undefined) expect(new URL(url).host).toBe(new URL(`http://${result.authority}`).host)
  }))
})

test('taking a prefix off gives back what stood behind it, however the prefix was encoded', () => {
  const prefix = fc.stringMatching(/^(\/[a-z0-9._~-]{1,6}){1,3}$/).filter((text) => !/\/\.{1,2}(\/|$)/.test(text))
  const rest = fc.stringMatching(/^(\/[a-z%;=]{0,6}){0,3}(\?[a-z/]{0,5})?$/)
  fc.assert(fc.property(prefix, rest, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (mount, behind, encode) => {
    const spelt = [...mount].map((character, i) => (character !== '/' && encode[i] ? `%${character.charCodeAt(0).toString(16)}` : character)).join('')
    expect(stripPrefix(spelt + behind, mount)).toBe(behind.startsWith('/') ? behind : `/${behind}`)
  }))
})

function decodeURIComponentLoosely(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
