import { describe, expect, test } from 'vitest'
import { MutationRefusedError, type RefusalReason } from '../../src/errors.ts'
import { applyChange, NO_MUTATION, readMutation, type Change, type Mutation, type MutationKind, type MutationRules } from '../../src/session/mutation.ts'
import { parsePath } from '../../src/session/paths.ts'
import type { EpochMs, Session, SessionId } from '../../src/session/session.ts'

const rules = (changes: { allow?: MutationKind[]; writable?: string[]; maxBytes?: number; maxDepth?: number; maxMembers?: number } = {}): MutationRules => ({
  allow: new Set(changes.allow ?? ['patch', 'rotate', 'destroy', 'lifetime']),
  writable: (changes.writable ?? ['*']).map(parsePath),
  limits: { maxBytes: changes.maxBytes ?? 16_384, maxDepth: changes.maxDepth ?? 16, maxMembers: changes.maxMembers ?? 1_000 },
})
const base64url = (text: string): string => Buffer.from(text).toString('base64url')
const read = (patch: string | undefined, control?: string | string[], with_ = rules()): Mutation =>
  readMutation({ patch: patch === undefined ? [] : [patch], control: control === undefined ? [] : [control].flat() }, with_)

function reasonOf(action: () => Mutation): RefusalReason | Mutation {
  try {
    return action()
  } catch (error) {
    if (error instanceof MutationRefusedError) return error.reason
    throw error
  }
}

const CHANGE: Change = {
  kind: 'change', patch: {}, base: 'keep', rotate: false, lifetime: { permanent: undefined, idleMs: undefined, absoluteMs: undefined }, ifVersion: undefined,
}
const NONE = { permanent: undefined, idleMs: undefined, absoluteMs: undefined }

describe('what is no change', () => {
  test.each([[[], []], [[], ['']], [[], [' \t']]])('patch %j, control %j', (patch, control) => {
    expect(readMutation({ patch, control }, rules())).toEqual(NO_MUTATION)
  })
})

describe('directives', () => {
  const rows: [control: string | string[], mutation: Partial<Change> | { kind: 'destroy' }][] = [
    ['destroy', { kind: 'destroy' }],
    [' destroy\t', { kind: 'destroy' }],
    ['rotate', { rotate: true }],
    ['clear', { base: 'clear' }],
    ['permanent', { lifetime: { ...NONE, permanent: true } }],
    ['transient', { lifetime: { ...NONE, permanent: false } }],
    ['idle=600', { lifetime: { ...NONE, idleMs: 600_000 } }],
    ['absolute=86400', { lifetime: { ...NONE, absoluteMs: 86_400_000 } }],
    ['if-version=v7', { ifVersion: 'v7' as Change['ifVersion'] as never }],
    ['if-version="a b"', 'directive' as never],
    ['if-version="-_a=+/"', { ifVersion: '-_a=+/' as never }],
    ['rotate, clear ,idle=1', { rotate: true, base: 'clear', lifetime: { ...NONE, idleMs: 1_000 } }],
    [['rotate', 'permanent', 'idle=60'], { rotate: true, lifetime: { permanent: true, idleMs: 60_000, absoluteMs: undefined } }],
  ]
  test.each(rows)('%j', (control, mutation) => {
    expect(reasonOf(() => read(undefined, control))).toEqual(typeof mutation === 'string' ? mutation : mutation.kind === 'destroy' ? mutation : { ...CHANGE, ...mutation })
  })

  const refused: [control: string | string[], patch: string | undefined, reason: RefusalReason][] = [
    ['explode', undefined, 'directive'], ['Rotate', undefined, 'directive'], ['rotate;now', undefined, 'directive'], ['rotate=1', undefined, 'directive'],
    ['rotate=', undefined, 'directive'], ['idle', undefined, 'directive'], ['idle=', undefined, 'directive'], ['idle=0', undefined, 'directive'], ['idle=-1', undefined, 'directive'],
    ['idle=1.5', undefined, 'directive'], ['idle=1e3', undefined, 'directive'], ['idle=60s', undefined, 'directive'], ['idle=99999999999', undefined, 'directive'],
    ['absolute=01', undefined, 'directive'], ['if-version', undefined, 'directive'], ['if-version=', undefined, 'directive'], ['if-version=""', undefined, 'directive'],
    ['if-version="a\\"b"', undefined, 'directive'], ['rotate,', undefined, 'directive'], [',rotate', undefined, 'directive'], ['rotate,,clear', undefined, 'directive'],
    ['rotate clear', undefined, 'directive'], ['rotate\u00e9', undefined, 'directive'], ['__proto__', undefined, 'directive'], ['constructor', undefined, 'directive'],
    ['rotate, rotate', undefined, 'duplicate'], [['idle=1', 'idle=2'], undefined, 'duplicate'],
    ['destroy, rotate', undefined, 'exclusive'], ['destroy, if-version=v', undefined, 'exclusive'], ['destroy', '{}', 'exclusive'], ['permanent, transient', undefined, 'exclusive'],
    ['clear, replace', '{}', 'exclusive'], ['replace', undefined, 'exclusive'],
  ]
  test.each(refused)('%j with patch %s is refused as %s', (control, patch, reason) => expect(reasonOf(() => read(patch, control))).toBe(reason))
})

describe('the encoding of a patch', () => {
  test.each([
    ['JSON text', '{"a":[1,"\\u00e9\\u2028"]}'],
    ['base64url of UTF-8', base64url('{"a":[1,"é\u2028"]}')],
    ['base64url of text with leading space', base64url(' {"a":[1,"é\u2028"]} ')],
  ])('%s', (_what, value) => expect(read(value)).toEqual({ ...CHANGE, patch: { a: [1, 'é\u2028'] } }))

  const refused: [what: string, value: string, reason: RefusalReason][] = [
    ['empty', '', 'encoding'], ['a bare word', 'null', 'encoding'], ['an array', '[1]', 'encoding'], ['latin-1 in JSON', '{"a":"\u00e9"}', 'encoding'], ['a tab in JSON', '{"a":\t1}', 'encoding'],
    ['padding', `${base64url('{"a":1}')}=`, 'encoding'], ['base64, not url', '+/+/', 'encoding'], ['space', 'e30 e30', 'encoding'], ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url'), 'encoding'],
    ['an overlong UTF-8', Buffer.from([0x22, 0xc0, 0x80, 0x22]).toString('base64url'), 'encoding'], ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]).toString('base64url'), 'encoding'],
    ['a byte order mark', base64url('\ufeff{}'), 'json'], ['UTF-16', Buffer.from('{}', 'utf16le').toString('base64url'), 'json'],
    ['no object', base64url('[1]'), 'type'], ['null', base64url('null'), 'type'], ['a string', base64url('"{}"'), 'type'],
    ['two lines folded into one', '{"a":1}, {"b":2}', 'json'], ['a comment', '{/**/}', 'json'], ['single quotes', "{'a':1}", 'json'], ['a trailing comma', '{"a":1,}', 'json'],
    ['a duplicate member', '{"a":1,"a":2}', 'json'], ['a lone surrogate', '{"a":"\\ud800"}', 'json'], ['a big integer', '{"a":9007199254740993}', 'number'], ['1e400', '{"a":1e400}', 'number'],
    ['-0', '{"a":-0}', 'number'], ['too many digits', '{"a":0.1000000000000000055}', 'number'],
  ]
  test.each(refused)('%s is refused', (_what, value, reason) => expect(reasonOf(() => read(value))).toBe(reason))

  test('two lines are refused, never joined', () => {
    expect(reasonOf(() => readMutation({ patch: ['{"a":1}', '{"b":2}'], control: [] }, rules()))).toBe('duplicate')
    expect(reasonOf(() => readMutation({ patch: ['{"a":1}', ''], control: [] }, rules()))).toBe('duplicate')
  })
})

describe('limits, to the byte, level and member', () => {
  const sized = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 8)}"}`
  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  const wide = (members: number): string => JSON.stringify(Object.fromEntries(Array.from({ length: members }, (_, i) => [`m${i}`, 1])))
  const rows: [what: string, patch: string, limits: Parameters<typeof rules>[0], reason: RefusalReason | undefined][] = [
    ['twice the data\'s bytes', sized(200), { maxBytes: 100 }, undefined], ['one more', sized(201), { maxBytes: 100 }, 'bytes'],
    ['the same in base64url', base64url(sized(200)), { maxBytes: 100 }, undefined], ['one more in base64url', base64url(sized(201)), { maxBytes: 100 }, 'bytes'],
    ['bytes, not characters', base64url(`{"a":"${'é'.repeat(97)}"}`), { maxBytes: 100 }, 'bytes'],
    ['depth', deep(5), { maxDepth: 5 }, undefined], ['one level more', deep(6), { maxDepth: 5 }, 'depth'],
    ['members', wide(9), { maxMembers: 9 }, undefined], ['one member more', wide(10), { maxMembers: 9 }, 'members'],
  ]
  test.each(rows)('%s', (_what, patch, limits, reason) => {
    const result = reasonOf(() => read(patch, undefined, rules(limits)))
    expect(typeof result === 'string' ? result : undefined).toBe(reason)
  })
})

describe('what a route may do', () => {
  const all: [patch: string | undefined, control: string | undefined, kinds: MutationKind[]][] = [
    ['{"a":1}', undefined, ['patch']], ['{}', undefined, ['patch']], [undefined, 'clear', ['patch']], ['{"a":1}', 'replace', ['patch']], [undefined, 'rotate', ['rotate']],
    [undefined, 'destroy', ['destroy']], [undefined, 'permanent', ['lifetime']], [undefined, 'transient', ['lifetime']], [undefined, 'idle=1', ['lifetime']], [undefined, 'absolute=1', ['lifetime']],
    ['{"a":1}', 'rotate, permanent', ['patch', 'rotate', 'lifetime']],
  ]
  test.each(all)('patch %s with control %s needs all of %j', (patch, control, kinds) => {
    expect(typeof reasonOf(() => read(patch, control, rules({ allow: kinds })))).toBe('object')
    for (const missing of kinds) expect(reasonOf(() => read(patch, control, rules({ allow: kinds.filter((kind) => kind !== missing) })))).toBe('forbidden')
  })

  const writable: [paths: string[], patch: string, control: string | undefined, allowed: boolean][] = [
    [['cart'], '{"cart":{"n":1}}', undefined, true], [['cart'], '{"user":1}', undefined, false], [['cart'], '{"cart":1,"user":1}', undefined, false],
    [['cart'], '{"cart":1}', 'clear', false], [['cart'], '{"cart":1}', 'replace', false], [['*'], '{"cart":1}', 'replace', true], [['cart.items'], '{"cart":null}', undefined, false],
  ]
  test.each(writable)('writable %j: %s %s', (paths, patch, control, allowed) => {
    expect(reasonOf(() => read(patch, control, rules({ writable: paths }))) === 'writable').toBe(!allowed)
  })
})

describe('applying a change', () => {
  const session: Session = {
    id: 'i' as SessionId, handle: 'h', data: { a: { x: 1 }, b: 2 }, createdAt: 1 as EpochMs, touchedAt: 2 as EpochMs, permanent: false, idleMs: 600_000, absoluteMs: 3_600_000,
  }
  const rows: [patch: string | undefined, control: string | undefined, next: Partial<Session>][] = [
    ['{"a":{"y":2}}', undefined, { data: { a: { x: 1, y: 2 }, b: 2 } }],
    ['{"a":{"y":2},"b":null}', 'clear', { data: { a: { y: 2 } } }],
    [undefined, 'clear', { data: {} }],
    ['{"a":null,"c":{"d":null}}', 'replace', { data: { a: null, c: { d: null } } }],
    ['{}', 'replace', { data: {} }],
    [undefined, 'permanent', { permanent: true }],
    [undefined, 'idle=60', { idleMs: 60_000 }],
    [undefined, 'idle=6000', { idleMs: 600_000 }],
    [undefined, 'absolute=60', { absoluteMs: 60_000 }],
    [undefined, 'absolute=9999999999', { absoluteMs: 3_600_000 }],
    [undefined, 'rotate', {}],
  ]
  test.each(rows)('patch %s, control %s', (patch, control, next) => {
    expect(applyChange(session, read(patch, control) as Change)).toEqual({ ...session, ...next })
  })
})
