import assert from 'node:assert/strict'
import { MutationRefusedError } from '../../../src/errors.ts'
import { applyChange, readMutation, type MutationRules } from '../../../src/session/mutation.ts'
import { isWithinLimits } from '../../../src/session/json.ts'
import { isSameJson, parsePath, valueAt } from '../../../src/session/paths.ts'
import type { EpochMs, Session, SessionId } from '../../../src/session/session.ts'
import { fieldLines, unlessRefused, type FuzzedParser } from '../parser.ts'

const RULES: MutationRules = {
  allow: new Set(['patch', 'rotate', 'destroy', 'lifetime']), writable: [[]], limits: { maxDepth: 8, maxMembers: 50, maxBytes: 4_096 },
}
const NARROW: MutationRules = { ...RULES, writable: ['cart', 'user.name', 'a.b.c'].map(parsePath) }
const SESSION: Session = {
  id: 'A'.repeat(43) as SessionId, handle: 'h', data: { cart: [1], user: { id: 7, name: 'ann' }, a: 'text', z: { y: 1 } }, permanent: false,
  createdAt: 0 as EpochMs, touchedAt: 0 as EpochMs, idleMs: 1_000_000, absoluteMs: 2_000_000,
}

/** A line that begins with `!` is X-Session-Control, every other one X-Session-Patch. */
export const parser: FuzzedParser = {
  seeds: [
    '{"user":{"name":"bob"},"cart":null}', '{"a":{"b":{"c":1}}}', Buffer.from('{"é":"ü"}').toString('base64url'), '!rotate, idle=600, if-version="a1"\n{"x":1}',
    '!destroy', '!replace\n{"a":1}', '!clear, permanent', '!transient,absolute=60', '!if-version=abc+/=', '{"a":1}\n{"b":2}', '!\n!rotate\n!permanent', '{"a":{}}',
  ],
  words: ['!', '!rotate', 'destroy', 'rotate', 'clear', 'replace', 'permanent', 'transient', 'idle=', 'absolute=', 'if-version=', '"', ', ', '=', '{', '}', '":', 'null', '{"a":', '"user":', '"name":', '"cart":', '"b":{"c":', '"__proto__":', '\\u', '1', '9999999999'],
  check(input) {
    const lines = fieldLines(input)
    const fields = { patch: lines.filter((line) => !line.startsWith('!')).filter((line) => line !== ''), control: lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1)) }
    const read = (rules: MutationRules): ReturnType<typeof readMutation> | undefined => unlessRefused((error) => error instanceof MutationRefusedError, () => readMutation(fields, rules))
    const mutation = read(RULES)
    const narrow = read(NARROW)
    if (mutation?.kind !== 'change') return assert.deepStrictEqual(narrow, mutation)
    assert.ok(isWithinLimits(mutation.patch, RULES.limits))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(mutation.patch)), mutation.patch)
    const next = applyChange(SESSION, mutation)
    assert.deepStrictEqual(applyChange(next, mutation), next)
    assert.ok(next.idleMs <= SESSION.idleMs && next.absoluteMs <= SESSION.absoluteMs)
    if (narrow?.kind === 'change') assertOnlyWritable(applyChange(SESSION, narrow).data)
  },
}

/** `NARROW` lets an upstream write below `a` and `user`, not replace them. */
function assertOnlyWritable(data: Session['data']): void {
  for (const path of ['z', 'user.id'].map(parsePath)) assert.ok(isSameJson(valueAt(data, path), valueAt(SESSION.data, path)))
  const known = new Set(['cart', 'user', 'a', 'z'])
  assert.deepStrictEqual(Object.keys(data).filter((name) => !known.has(name)), [])
}
