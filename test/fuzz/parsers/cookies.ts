import assert from 'node:assert/strict'
import { splitCookies } from '../../../src/http/cookie.ts'
import { createCookieSigner } from '../../../src/signing/cookie-signer.ts'
import { createKeyRing } from '../../../src/signing/keyring.ts'
import type { SessionId } from '../../../src/session/session.ts'
import { fieldLines, type FuzzedParser } from '../parser.ts'

const NAME = '__Host-session'
const signer = createCookieSigner(createKeyRing([{ id: 'c1', secret: 'one' }, { id: 'c0', secret: 'zero' }]))
const genuine = signer.sign('A'.repeat(43) as SessionId)

/** What is ours in the Cookie lines is taken out, whole and only that; what is signed by us opens, and nothing else. */
export const parser: FuzzedParser = {
  seeds: [`${NAME}=${genuine}`, `a=1; ${NAME}=x; b=2`, `${NAME}=1;${NAME}=2`, ` \t${NAME} = "x" ;;=;a`, `a=1\n${NAME}=y\nc=3`, `${NAME}`, `${NAME}x=1; x${NAME}=2`, '; ; =\t;'],
  words: [NAME, `${NAME}=`, `${NAME}=${genuine}`, genuine, '__host-session', 'c0.', 'c1.', ';', '; ', '=', '"', ',', ' ', '\t', '\xa0', '\n', '%3D', 'A'.repeat(43)],
  check(input) {
    const lines = fieldLines(input)
    const { candidates, rest } = splitCookies(lines, NAME)
    const pairs = lines.flatMap((line) => line.split(';'))
    assert.deepEqual(candidates, pairs.filter((pair) => nameOf(pair) === NAME).map(valueOf))
    assert.deepEqual(solid(rest), solid(lines).filter((pair) => nameOf(pair) !== NAME))
    if (candidates.length === 0) assert.deepEqual(rest.filter(isSolid), lines.filter(isSolid))
    assert.deepEqual(splitCookies(rest, NAME).candidates, [])
    for (const candidate of candidates) {
      const unsigned = signer.unsign(candidate)
      if (unsigned?.isCurrentKey) assert.equal(signer.sign(unsigned.id), candidate)
    }
  },
}

const trimmed = (text: string): string => text.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, '')
const nameOf = (pair: string): string => trimmed(pair.split('=', 1)[0] as string)
const valueOf = (pair: string): string => trimmed(pair.slice((pair.split('=', 1)[0] as string).length + 1))
const isSolid = (text: string): boolean => /[^ \t]/.test(text)
const solid = (lines: readonly string[]): string[] => lines.flatMap((line) => line.split(';')).map(trimmed).filter(isSolid)
