import type { MutationFields } from '../session/mutation.ts'
import { isTargetedCacheControl } from './caching.ts'
import { canonicalName, isHopByHop, memoizeByName, namedByConnection, type OwnNames, type RawHeaders } from './field-names.ts'

/** An upstream's response head, taken apart: what may go on to the client, and what was meant for us. */
export interface ResponseHeaders {
  /** End-to-end fields in order; Vary and Cache-Control follow apart, since a session changes them. */
  readonly fields: string[]
  readonly vary: readonly string[]
  readonly cacheControl: readonly string[]
  /** Lines of the fields that tell shared caches more than Cache-Control: name, value, name, value, ... */
  readonly targetedCacheControl: readonly string[]
  readonly mutation: MutationFields & { readonly signed: readonly string[] }
  /** Set-Cookie lines under our own cookies' names, left out of `fields`. */
  readonly foreignCookies: number
  /** Set-Cookie lines that an adapter claims, left out of `fields`. */
  readonly claimedCookies: readonly string[]
}

/** `claims`: the names of the cookies that an adapter reads, and no browser gets. */
export type ReadResponseHeaders = (raw: RawHeaders, claims?: (cookieName: string) => boolean) => ResponseHeaders

type Kind = 'plain' | 'drop' | 'connection' | 'set-cookie' | 'vary' | 'cache-control' | 'targeted' | 'patch' | 'control' | 'mutation'

function kindOf(name: string, own: OwnNames): Kind {
  const lower = name.toLowerCase()
  const canonical = canonicalName(name)
  if (own.owns(canonical)) {
    // Exact spelling only: an alias is dropped like any other name of ours, never obeyed.
    if (lower === own.patch) return 'patch'
    if (lower === own.control) return 'control'
    return lower === own.mutation ? 'mutation' : 'drop'
  }
  if (lower === 'connection' || lower === 'set-cookie' || lower === 'vary' || lower === 'cache-control') return lower
  if (isTargetedCacheControl(lower)) return 'targeted'
  return isHopByHop(lower) ? 'drop' : 'plain'
}

const NO_COOKIES: readonly string[] = []

/** `cookieNames` are compared without case: browsers match the `__Host-` prefix that way (RFC 6265bis section 4.1.3). */
export function createResponseHeadersReader(own: OwnNames, ...cookieNames: readonly string[]): ReadResponseHeaders {
  const classify = memoizeByName((name) => kindOf(name, own))
  const ownCookies = cookieNames.map((name) => name.toLowerCase())

  return (raw, claims) => {
    const fields: string[] = []
    const vary: string[] = []
    const cacheControl: string[] = []
    const targetedCacheControl: string[] = []
    const patch: string[] = []
    const control: string[] = []
    const signed: string[] = []
    let claimedCookies = NO_COOKIES
    let foreignCookies = 0
    let named: readonly string[] = []

    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] as string
      const value = raw[i + 1] as string
      switch (classify(name)) {
        case 'plain': fields.push(name, value); break
        case 'drop': break
        case 'set-cookie': {
          const cookieName = cookieNameOf(value)
          if (claims?.(cookieName)) claimedCookies = [...claimedCookies, value]
          else if (ownCookies.includes(cookieName.toLowerCase())) foreignCookies++
          else fields.push(name, value)
          break
        }
        case 'vary': vary.push(value); break
        case 'cache-control': cacheControl.push(value); break
        case 'targeted': targetedCacheControl.push(name, value); break
        case 'connection': named = [...named, ...namedByConnection(value)]; break
        case 'patch': patch.push(value); break
        case 'control': control.push(value); break
        case 'mutation': signed.push(value); break
      }
    }
    return { fields: named.length > 0 ? withoutNamed(fields, named) : fields, vary, cacheControl, targetedCacheControl, mutation: { patch, control, signed }, foreignCookies, claimedCookies }
  }
}

/**
 * The name under which a browser sends the cookie of a Set-Cookie line back (RFC 6265bis section 5.6): up to `=`, outer white space
 * removed. A cookie without a name is sent back as its bare value, which then reads like a name and a value.
 */
export function cookieNameOf(line: string): string {
  const end = line.indexOf(';')
  const pair = (end < 0 ? line : line.slice(0, end)).replace(/^\s*=/, '')
  const equals = pair.indexOf('=')
  return (equals < 0 ? pair : pair.slice(0, equals)).trim()
}

/** Content-Length is framing, which we own: naming it in Connection does not remove it (RFC 9110 section 7.6.1). */
function withoutNamed(fields: RawHeaders, named: readonly string[]): string[] {
  const removed = new Set(named.filter((name) => name !== 'content-length' && name !== 'set-cookie'))
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (!removed.has(name.toLowerCase())) kept.push(name, fields[i + 1] as string)
  }
  return kept
}
