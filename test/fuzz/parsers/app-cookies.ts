import assert from 'node:assert/strict'
import { mapCookiePairs } from '../../../src/adapters/cookies/request-pairs.ts'
import { createCookieSealer } from '../../../src/adapters/cookies/seal.ts'
import { fieldLines, type FuzzedParser } from '../parser.ts'

const sealer = createCookieSealer([{ id: 'c1', secret: 'one' }], 'app')
const SEALED = 'c1.O8wpDV0Sc8hK6FfA3wB2o3eXb0yq6dXcJq0yUuLkVh3v2m1n4b5c6d7e8f9g'

/** Pairs are named as browsers name them; what is left alone stays byte for byte, what is taken is gone, nothing forged opens. */
export const parser: FuzzedParser = {
  seeds: ['a=1; b=2', 'session = "x" ; session', `seal=${SEALED}`, '=a; ;b==c', '\xa0session=1;\tsession=2'],
  words: ['session', 'session=', 'seal=', SEALED, 'c1.', ';', '; ', '=', ' ', '\t', '\xa0', '\n', 'A'.repeat(40)],
  check(input) {
    const lines = fieldLines(input)
    assert.deepEqual(mapCookiePairs(lines, () => undefined), lines.filter(isSolid))
    assert.deepEqual(mapCookiePairs(lines, () => ''), [])
    const parts = lines.flatMap((line) => line.split(';'))
    const seen: { name: string; value: string }[] = []
    const left = mapCookiePairs(lines, (pair) => {
      seen.push(pair)
      return pair.name === 'session' ? '' : pair.name === 'seal' ? `seal=${sealer.open('seal', pair.value, undefined) ?? 'refused'}` : undefined
    })
    assert.deepEqual(seen, parts.map(pairOf))
    const expected = parts.filter((part) => pairOf(part).name !== 'session').map((part) => (pairOf(part).name === 'seal' ? 'seal=refused' : trimmed(part)))
    assert.deepEqual(left.flatMap((line) => line.split(';')).map(trimmed).filter(isSolid), expected.filter(isSolid))
  },
}

const isSolid = (text: string): boolean => /[^ \t]/.test(text)
const trimmed = (text: string): string => text.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, '')

/** RFC 6265bis section 5.6: up to the first `=`, blanks and tabs around both taken off; without one, all is value. */
function pairOf(part: string): { name: string; value: string } {
  const [name = '', ...value] = part.split('=')
  return value.length === 0 ? { name: '', value: trimmed(name) } : { name: trimmed(name), value: trimmed(value.join('=')) }
}
