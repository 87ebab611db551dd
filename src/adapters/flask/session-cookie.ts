import type { AgeLimit, ItsdangerousSigner, Refusal } from './itsdangerous.ts'
import { canonicalText, printMembers } from './json-printer.ts'
import { MAX_JSON_DEPTH, parseJson, parseMembers } from './lossless-json.ts'
import type { Member, Members } from './lossless-json.ts'
import { FLASK_TAGS, untag } from './tagged-json.ts'
import type { ForeignTags } from './tagged-json.ts'
import { decodeBody, encodeBody, MAX_PAYLOAD_BYTES } from './url-safe-body.ts'

/** Flask's salt for session cookies. */
export const FLASK_COOKIE_SALT = 'cookie-session'

export interface FlaskCookieDecoding {
  readonly signer: ItsdangerousSigner
  /** Undefined: any age, a future one too; right for a cookie the app has just set, whose clock may be ahead of ours. */
  readonly limit?: AgeLimit
  /** Of the JSON text after inflation. Default 512 KiB. */
  readonly maxPayloadBytes?: number
  /** Default 1000, as Python's. */
  readonly maxDepth?: number
  /** What to do about content Flask would not write under its own tags. Default `refuse`: Flask may answer 500 to it. */
  readonly foreignTags?: ForeignTags
}

export type DecodedFlaskCookie =
  | { readonly ok: true; readonly members: Members; readonly payloadText: string; readonly issuedAtSeconds: number }
  | { readonly ok: false; readonly reason: Refusal | 'bad_payload' }

/**
 * Opens a Flask session cookie. `members` are the top-level names with the exact text of their values; `payloadText` is the whole
 * JSON as carried: equal to the text sent down means nothing changed. A signed `null` is an empty session. `bad_payload` is what
 * Flask answers 500 to. Total: throws for no value.
 */
export function decodeFlaskCookie(value: string, decoding: FlaskCookieDecoding): DecodedFlaskCookie {
  const unsigned = decoding.signer.unsignAt(value, decoding.limit)
  if (!unsigned.ok) return unsigned
  const payloadText = decodeBody(unsigned.value, decoding.maxPayloadBytes ?? MAX_PAYLOAD_BYTES)
  const members = payloadText === undefined ? undefined : membersOfPayload(payloadText, decoding)
  if (payloadText === undefined || !members) return { ok: false, reason: 'bad_payload' }
  return { ok: true, members, payloadText, issuedAtSeconds: unsigned.issuedAtSeconds }
}

export interface FlaskCookieEncoding {
  readonly signer: ItsdangerousSigner
  /** A few seconds ago is best: Flask refuses what is signed one second ahead of its own clock. */
  readonly issuedAtSeconds: number
  /** `app.json.sort_keys`: default true. Sorts the top level; the members' own texts are written as they are. */
  readonly sortKeys?: boolean
  /** Shorter payloads are not compressed. Default 0: compress as Flask does, whenever that is shorter. */
  readonly compressFromBytes?: number
}

/** The cookie value Flask would sign for these members, byte for byte unless it is compressed. */
export function encodeFlaskCookie(members: Members, encoding: FlaskCookieEncoding): string {
  return encodeFlaskPayload(payloadOfMembers(members, encoding.sortKeys), encoding)
}

/** The same for JSON text that payloadOfMembers made, so that a caller can keep the text to compare the answer with. */
export function encodeFlaskPayload(payloadText: string, encoding: FlaskCookieEncoding): string {
  return encoding.signer.signAt(encodeBody(payloadText, encoding.compressFromBytes), encoding.issuedAtSeconds)
}

/** The JSON text of a session. One member whose name looks like a tag is wrapped, so that Flask does not take it for one. */
export function payloadOfMembers(members: Members, sortKeys = true): string {
  const [only] = members.size === 1 ? members : []
  if (!only?.[0].startsWith(' ')) return printMembers(members, { sortKeys })
  return printMembers(new Map([[' di', printMembers(new Map([[`${only[0]}__`, only[1]]]))]]))
}

/** The reverse. Undefined when the text is not a session: not JSON, not an object, or a value Flask may raise on. */
export function membersOfPayload(
  text: string, options: Pick<FlaskCookieDecoding, 'maxDepth' | 'foreignTags'> = {},
): Members | undefined {
  const { maxDepth = MAX_JSON_DEPTH, foreignTags = 'refuse' } = options
  const outer = parseMembers(text, maxDepth)
  if (!outer) return parseJson(text, maxDepth) === null ? new Map() : undefined
  const members = unwrap(outer, maxDepth)
  const isSession = members && (foreignTags === 'carry' || [...members.values()].every(({ node }) => untag(node, 'refuse') !== undefined))
  return isSession ? new Map([...members].map(([name, member]) => [name, member.text])) : undefined
}

/** `session.permanent`: Flask keeps it as a member. Absent is false. */
export function isPermanent(members: Members): boolean {
  const text = members.get('_permanent')
  return text !== undefined && !['false', 'null', '0', '0.0', '-0.0', '""', '[]', '{}'].includes(canonicalText(text))
}

function unwrap(outer: ReadonlyMap<string, Member>, maxDepth: number): ReadonlyMap<string, Member> | undefined {
  const [only] = outer.size === 1 ? outer : []
  if (!only || !FLASK_TAGS.has(only[0])) return outer
  const [inner, ...others] = only[0] === ' di' ? (parseMembers(only[1].text, maxDepth) ?? []) : []
  return inner?.[0].endsWith('__') && others.length === 0 ? new Map([[inner[0].slice(0, -2), inner[1]]]) : undefined
}
