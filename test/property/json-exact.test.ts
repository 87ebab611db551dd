import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isExactNumber, JsonFaultError, parseExactJson } from '../../src/session/json.ts'
import { isSameJson } from '../../src/session/paths.ts'
import { jsonValue } from '../support/json-arbitrary.ts'

const LIMITS = { maxDepth: 64, maxMembers: 10_000 }
const RUNS = { numRuns: 500 }

/** Exact where an engine is at hand that never rounds: scaled big integers. */
function isSameDecimal(a: string, b: string): boolean {
  const [x, y] = [scaled(a), scaled(b)]
  const low = Math.min(x.exponent, y.exponent)
  return x.digits * 10n ** BigInt(x.exponent - low) === y.digits * 10n ** BigInt(y.exponent - low)
}

function scaled(text: string): { digits: bigint; exponent: number } {
  const [, whole = '', fraction = '', exponent = '0'] = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  return { digits: BigInt(whole + fraction) * 1n, exponent: Number(exponent) - fraction.length }
}

test('what JSON.stringify writes comes back as it was, also escaped and spaced', () => {
  fc.assert(fc.property(jsonValue, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
    const text = JSON.stringify(value, undefined, space)
    expect(JSON.stringify(parseExactJson(text, LIMITS))).toBe(JSON.stringify(value))
    const ascii = text.replace(/[^\x20-\x7e\t\n]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    expect(JSON.stringify(parseExactJson(ascii, LIMITS))).toBe(JSON.stringify(value))
  }), RUNS)
})

test('it never accepts what JSON.parse refuses, and never reads anything else', () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0123456789abcdefn+-.eE tru ls') , maxLength: 30 }),
    fc.tuple(jsonValue, fc.nat(), fc.string({ unit: 'binary', maxLength: 2 })).map(([value, at, insert]) => {
      const whole = JSON.stringify(value)
      const cut = at % (whole.length + 1)
      return whole.slice(0, cut) + insert + whole.slice(cut + (at % 3))
    }),
  )
  fc.assert(fc.property(text, (candidate) => {
    let mine: unknown
    try {
      mine = parseExactJson(candidate, LIMITS)
    } catch (error) {
      expect(error).toBeInstanceOf(JsonFaultError)
      return
    }
    expect(isSameJson(mine as never, JSON.parse(candidate) as never)).toBe(true)
  }), { numRuns: 3_000 })
})

test('a number is accepted exactly when the double\'s shortest text means the same decimal', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 22 })
  const number = fc.tuple(fc.boolean(), digits, fc.option(digits), fc.option(fc.integer({ min: -330, max: 330 })))
    .map(([minus, whole, fraction, exponent]) => `${minus ? '-' : ''}${whole.replace(/^0+(?=\d)/, '')}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`)
  fc.assert(fc.property(number, (text) => {
    const value = Number(text)
    const survives = Number.isFinite(value) && !Object.is(value, -0) && isSameDecimal(text, String(value))
    expect(isExactNumber(text)).toBe(survives)
  }), { numRuns: 3_000 })
})
