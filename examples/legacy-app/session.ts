// Copy this file into any Node app: it is all an app needs to take its session from sessiongate. Only node:crypto is used.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** The session as the gateway vouches for it. `sid` is a public handle, not the cookie's value; absent while `new`. */
export interface SessionView {
  readonly data: { readonly [name: string]: unknown }
  readonly new: boolean
  readonly permanent: boolean
  readonly sid?: string
  readonly ver?: string
  readonly exp: number
}

export interface SessionChange {
  /** JSON Merge Patch (RFC 7396): members replace, objects merge, null removes. */
  readonly patch?: { readonly [name: string]: unknown }
  /** Directives of the protocol: `rotate`, `destroy`, `clear`, `replace`, `permanent`, `transient`, `idle=60`, ... */
  readonly control?: readonly string[]
}

/**
 * The session of this request, or undefined when it did not come through the gateway: no assertion, or one that is not signed
 * by a known key (`secrets`, by key id), not HS256, not for this `audience`, expired, or with a critical header we do not know.
 */
export function readSession(request: IncomingMessage, secrets: ReadonlyMap<string, string>, audience: string): SessionView | undefined {
  const match = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(String(request.headers['x-session-assertion']))
  const [, head = '', body = '', signature = ''] = match ?? []
  if (!match) return undefined

  const header = parseSegment(head)
  const secret = typeof header?.kid === 'string' ? secrets.get(header.kid) : undefined
  if (header?.alg !== 'HS256' || header.typ !== 'session+jwt' || 'crit' in header || secret === undefined) return undefined
  if (!sameText(signature, createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url'))) return undefined

  const claims = parseSegment(body)
  if (claims?.aud !== audience || typeof claims.exp !== 'number' || claims.exp <= Date.now() / 1000) return undefined
  return isObject(claims.data) ? (claims as unknown as SessionView) : undefined
}

/** Asks the gateway to change the session. Call it before the head is sent; the change is stored before the client sees a byte. */
export function changeSession(response: ServerResponse, { patch, control = [] }: SessionChange): void {
  if (patch) response.setHeader('X-Session-Patch', asciiJson(patch))
  if (control.length > 0) response.setHeader('X-Session-Control', control.join(', '))
}

/** JSON that fits a header field: everything but printable ASCII is escaped. */
function asciiJson(value: object): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function parseSegment(segment: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Compares text, not decoded bytes, so that other spellings of one signature are refused as well. */
function sameText(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
