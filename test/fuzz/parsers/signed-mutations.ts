import { MutationRefusedError } from '../../../src/errors.ts'
import { createHmac } from 'node:crypto'
import assert from 'node:assert/strict'
import { readSignedMutation, type SignedRules } from '../../../src/gateway/signed-mutation.ts'
import type { EpochMs } from '../../../src/session/session.ts'
import { verificationKeyOf, verifyJws } from '../../../src/signing/verify-jws.ts'
import { fieldLines, unlessRefused, type FuzzedParser } from '../parser.ts'

const SECRET = 'upstream-0a1b2c3d4e5f60718293a4b5c6d7e8f9'
const HEADER = '{"alg":"HS256","kid":"u1"}'
const base64url = (text: string): string => Buffer.from(text).toString('base64url')
const signed = (header: string, claims: string): string => {
  const text = `${base64url(header)}.${base64url(claims)}`
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
}
const RULES: SignedRules = {
  rules: { allow: new Set(['patch', 'rotate', 'destroy', 'lifetime']), writable: [[]], limits: { maxDepth: 8, maxMembers: 50, maxBytes: 4_096 } },
  keys: [verificationKeyOf('u1', 'HS256', SECRET)], audience: 'sessiongate', opened: { loaded: undefined, wasPresented: false, isCookieDue: false, unavailable: undefined }, now: 1_000_000 as EpochMs,
}

/** The first line is a token's header, the rest its claims; both under a good signature, and the input itself as a token. */
export const parser: FuzzedParser = {
  seeds: [
    `${HEADER}\n{"aud":"sessiongate","exp":2000,"patch":"{\\"a\\":1}"}`, `${HEADER}\n{"aud":"sessiongate","exp":2000,"control":"rotate, idle=60"}`,
    `${HEADER}\n{"aud":"other","exp":1}`, '{"alg":"none","kid":"u1","crit":["b64"]}\n[]', signed(HEADER, '{"aud":"sessiongate","exp":2000,"control":"destroy"}'),
  ],
  words: [HEADER, '"alg":', '"none"', '"HS256"', '"kid":"u1"', '"crit":[]', '"aud":"sessiongate"', '"exp":2000', '"patch":"{}"', '"control":"destroy"', '"sid":null', '"sid":"x"', '\n{', '}', '.', '"typ":"JWT"', '__proto__'],
  check(input) {
    const text = input.toString()
    const [header = '', ...claims] = text.split('\n')
    for (const [index, token] of [fieldLines(input).join(''), signed(header, claims.join('\n'))].entries()) {
      const mutation = unlessRefused((error) => error instanceof MutationRefusedError, () => readSignedMutation({ patch: [], control: [], signed: [token] }, RULES))
      if (mutation === undefined) continue
      assert.ok(verifyJws(token, RULES.keys).ok)
      if (index === 1) assert.equal((JSON.parse(header) as { alg: string }).alg, 'HS256')
    }
  },
}
