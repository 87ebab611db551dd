import { MutationRefusedError } from '../errors.ts'
import { JsonFaultError, parseExactObject, type JsonLimits } from './json.ts'
import { mergeObject } from './merge-patch.ts'
import { isPatchWithin, isSameJson, isWhole, valueAt, type DataPath } from './paths.ts'
import { sessionOf, type Json, type JsonObject, type Session, type Version } from './session.ts'

/** Shorter lifetimes asked for by the upstream, and whether the cookie outlives the browser. Undefined: as it is. */
export interface LifetimeChange {
  readonly permanent: boolean | undefined
  readonly idleMs: number | undefined
  readonly absoluteMs: number | undefined
}

/** Members replaced whole, or removed where undefined. Unlike in a merge patch, null and an object are values like any other. */
export type MemberEdits = ReadonlyMap<string, Json | undefined>

export interface Change {
  readonly kind: 'change'
  readonly patch: JsonObject
  readonly base: 'keep' | 'clear' | 'replace'
  readonly rotate: boolean
  readonly lifetime: LifetimeChange
  readonly ifVersion: Version | undefined
  /** What an adapter changes of the data, after the patch. */
  readonly members?: MemberEdits
  /** What an adapter changes beside the data. */
  readonly jar?: MemberEdits
}

export type Mutation = { readonly kind: 'none' } | Change | { readonly kind: 'destroy' }

export const NO_MUTATION: Mutation = { kind: 'none' }

export type MutationKind = 'patch' | 'rotate' | 'destroy' | 'lifetime'

/** What one route lets its upstream do. */
export interface MutationRules {
  readonly allow: ReadonlySet<MutationKind>
  readonly writable: readonly DataPath[]
  readonly limits: JsonLimits & { readonly maxBytes: number }
}

/** The raw header values an upstream sent: every line of each field, in order. */
export interface MutationFields {
  readonly patch: readonly string[]
  readonly control: readonly string[]
}

/**
 * Reads X-Session-Patch and X-Session-Control (protocol.md). All or nothing: throws MutationRefusedError with the reason,
 * never returns a part. No lines mean no change.
 */
export function readMutation(fields: MutationFields, rules: MutationRules): Mutation {
  if (fields.patch.length === 0 && fields.control.length === 0) return NO_MUTATION
  if (fields.patch.length > 1) throw new MutationRefusedError('duplicate', 'more than one patch line')

  const directives = parseDirectives(fields.control.join(','))
  const patch = fields.patch[0] === undefined ? undefined : parsePatch(fields.patch[0], rules.limits)
  const mutation = mutationOf(patch, directives)
  checkAllowed(mutation, rules, patch !== undefined)
  return mutation
}

/**
 * The session's next state: base, then patch, then an adapter's edits, then lifetimes, which only ever get
 * shorter. With `replace` the patch is the data itself, so null is a value there: the one way to store it, since a merge patch reads
 * null as "remove". When the value at `subject` changes, what is kept beside the data goes: no user is served as the one before.
 */
export function applyChange(session: Session, change: Change, subject?: DataPath, touchedAt = session.touchedAt): Session {
  const { lifetime } = change
  const { handle, createdAt, epoch } = session
  const next = sessionOf(session.id, touchedAt, {
    handle, createdAt, epoch,
    data: changedData(session.data, change),
    jar: session.jar,
    permanent: lifetime.permanent ?? session.permanent,
    idleMs: Math.min(session.idleMs, lifetime.idleMs ?? session.idleMs),
    absoluteMs: Math.min(session.absoluteMs, lifetime.absoluteMs ?? session.absoluteMs),
  })
  if (session.jar === undefined && change.jar === undefined) return next
  const jar = session.jar ?? {}
  return { ...next, jar: editMembers(isOfSameSubject(session, next, subject) ? jar : textsIn(jar), change.jar) }
}

/** The data alone, after the change. */
export function changedData(data: JsonObject, { base, patch, members }: Change): JsonObject {
  return editMembers(base === 'replace' ? patch : mergeObject(base === 'keep' ? data : {}, patch), members)
}

/** Names in the jar that describe the data begin like this and stay with it; all others belong to the user. */
export const JAR_TEXT = 'text:'

function textsIn(jar: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(jar).filter(([name]) => name.startsWith(JAR_TEXT)))
}

/** Whether nobody else was the user before. Whoever logs in keeps what an app knows of them as a visitor. */
export function isOfSameSubject(before: Pick<Session, 'data'>, after: Pick<Session, 'data'>, subject: DataPath | undefined): boolean {
  const known = subject && valueAt(before.data, subject)
  return known === undefined || isSameJson(known, valueAt(after.data, subject as DataPath))
}

function editMembers(members: JsonObject, edits: MemberEdits | undefined): JsonObject {
  if (edits === undefined) return members
  const edited = new Map(Object.entries(members))
  for (const [name, value] of edits) {
    if (value === undefined) edited.delete(name)
    else edited.set(name, value)
  }
  return Object.fromEntries(edited)
}

/** Two mutations of one answer as one. `destroy` beats everything; of the same thing set twice, `second` counts. */
export function joinMutations(first: Mutation, second: Mutation): Mutation {
  if (first.kind === 'none' || second.kind === 'destroy') return second
  if (second.kind === 'none' || first.kind === 'destroy') return first
  return {
    ...first,
    members: new Map([...first.members ?? [], ...second.members ?? []]),
    jar: new Map([...first.jar ?? [], ...second.jar ?? []]),
    lifetime: { ...first.lifetime, permanent: second.lifetime.permanent ?? first.lifetime.permanent },
  }
}

const BASE64URL = /^[A-Za-z0-9_-]+$/
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

/** JSON text in ASCII when it starts with `{`, else the base64url of UTF-8 JSON. */
function parsePatch(value: string, limits: MutationRules['limits']): JsonObject {
  const isJson = value.startsWith('{')
  if (isJson && !PRINTABLE_ASCII.test(value)) {
    throw new MutationRefusedError('encoding', 'JSON in a header must be ASCII: escape other characters as \\u, or send base64url')
  }
  const bytes = Buffer.byteLength(value, isJson ? 'ascii' : 'base64url')
  // A patch can hold removals beside the data, so it may be larger than the data; twice is generous.
  if (bytes > 2 * limits.maxBytes) throw new MutationRefusedError('bytes', `the patch exceeds ${2 * limits.maxBytes} bytes`)
  try {
    return parseExactObject(isJson ? value : decodeBase64url(value), limits)
  } catch (error) {
    if (error instanceof JsonFaultError) throw new MutationRefusedError(error.fault, error.message)
    throw error
  }
}

function decodeBase64url(value: string): string {
  if (!BASE64URL.test(value)) throw new MutationRefusedError('encoding', 'neither JSON nor base64url')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'base64url'))
  } catch {
    throw new MutationRefusedError('encoding', 'the base64url does not hold UTF-8')
  }
}

type Directives = ReadonlyMap<string, string | undefined>

const FLAGS: ReadonlySet<string> = new Set(['destroy', 'rotate', 'clear', 'replace', 'permanent', 'transient'])
const DIRECTIVE = /^([a-z][a-z-]*)(?:=(?:"([\x21\x23-\x5b\x5d-\x7e]{1,200})"|([A-Za-z0-9._~+/:=-]{1,200})))?$/
const SECONDS = /^[1-9]\d{0,9}$/
const NO_DIRECTIVES: Directives = new Map()

/** An RFC 9651 dictionary without parameters: `rotate, idle=600, if-version="a1"`. Unknown and repeated names are refused. */
function parseDirectives(text: string): Directives {
  if (text.trim() === '') return NO_DIRECTIVES
  const directives = new Map<string, string | undefined>()
  for (const item of text.split(',')) {
    const [, name = '', quoted, bare] = DIRECTIVE.exec(item.trim()) ?? []
    const value = quoted ?? bare
    const isKnown = FLAGS.has(name) ? value === undefined
      : name === 'idle' || name === 'absolute' ? value !== undefined && SECONDS.test(value)
        : name === 'if-version' && value !== undefined
    if (!isKnown) throw new MutationRefusedError('directive', `unknown or malformed directive "${printable(item.trim())}"`)
    if (directives.has(name)) throw new MutationRefusedError('duplicate', `directive "${name}" is given twice`)
    directives.set(name, value)
  }
  return directives
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 40)
}

function mutationOf(patch: JsonObject | undefined, directives: Directives): Mutation {
  if (directives.has('destroy')) {
    if (directives.size > 1 || patch !== undefined) throw new MutationRefusedError('exclusive', '"destroy" excludes every other directive and a patch')
    return { kind: 'destroy' }
  }
  if (directives.has('permanent') && directives.has('transient')) throw new MutationRefusedError('exclusive', '"permanent" and "transient" exclude each other')
  if (directives.has('clear') && directives.has('replace')) throw new MutationRefusedError('exclusive', '"clear" and "replace" exclude each other')
  if (directives.has('replace') && patch === undefined) throw new MutationRefusedError('exclusive', '"replace" needs a patch')
  if (patch === undefined && directives.size === 0) return NO_MUTATION
  return {
    kind: 'change',
    patch: patch ?? {},
    base: directives.has('replace') ? 'replace' : directives.has('clear') ? 'clear' : 'keep',
    rotate: directives.has('rotate'),
    lifetime: {
      permanent: directives.has('permanent') ? true : directives.has('transient') ? false : undefined,
      idleMs: millisecondsOf(directives.get('idle')),
      absoluteMs: millisecondsOf(directives.get('absolute')),
    },
    ifVersion: directives.get('if-version') as Version | undefined,
  }
}

function millisecondsOf(seconds: string | undefined): number | undefined {
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

/** Throws MutationRefusedError when the route lets its upstream do less than this. */
export function checkAllowed(mutation: Mutation, rules: MutationRules, hasPatch = false): void {
  if (mutation.kind === 'none') return
  const need = (kind: MutationKind): void => {
    if (!rules.allow.has(kind)) throw new MutationRefusedError('forbidden', `this route may not ${kind}`)
  }
  if (mutation.kind === 'destroy') return need('destroy')
  if (hasPatch || mutation.base !== 'keep' || mutation.members) need('patch')
  if (mutation.rotate) need('rotate')
  if (isLifetimeChanged(mutation.lifetime)) need('lifetime')
  if (rules.writable.some(isWhole)) return
  if (!isPatchWithin(mutation.patch, rules.writable) || mutation.base !== 'keep') {
    throw new MutationRefusedError('writable', 'the patch touches paths this route may not write')
  }
  for (const name of mutation.members?.keys() ?? []) {
    const isWritable = rules.writable.some((path) => path.length === 1 && path[0] === name)
    if (!isWritable) throw new MutationRefusedError('writable', 'the app changes a member this route may not write')
  }
}

function isLifetimeChanged({ permanent, idleMs, absoluteMs }: LifetimeChange): boolean {
  return permanent !== undefined || idleMs !== undefined || absoluteMs !== undefined
}
