import { RequestInvalidError } from '../errors.ts'
import { canonicalName, isHopByHop, memoizeByName, namedByConnection, type OwnNames, type RawHeaders } from './field-names.ts'

/** What a request says of itself, with everything of ours, hop-by-hop or spoofable taken out. */
export interface RequestHeaders {
  /** End-to-end fields in order; without Host, Cookie, Content-Length, Forwarded family and Via, which follow apart. */
  readonly fields: string[]
  readonly host: string
  readonly cookies: readonly string[]
  readonly contentLength: number | undefined
  readonly isChunked: boolean
  readonly upgrade: string | undefined
  readonly expectsContinue: boolean
  /** Forwarded and every X-Forwarded-* line as received: for a trusted peer only. */
  readonly forwarded: readonly string[]
  readonly via: readonly string[]
  readonly origin: string | undefined
  readonly accept: string | undefined
  readonly maxForwards: string | undefined
}

/** Reads and cleans the field lines of one request. Throws RequestInvalidError for framing two servers could read differently. */
export type ReadRequestHeaders = (raw: RawHeaders) => RequestHeaders

type Kind =
  | 'plain' | 'drop' | 'host' | 'cookie' | 'content-length' | 'transfer-encoding' | 'connection' | 'upgrade' | 'expect'
  | 'forwarded' | 'via' | 'origin' | 'accept' | 'max-forwards'

/** Fields an alias of which (`Content_Length`) could be taken for the real one by the server behind. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'host', 'cookie', 'content-length', 'transfer-encoding', 'connection', 'expect', 'upgrade', 'te', 'trailer', 'via', 'forwarded',
  'authorization', 'origin', 'x-http-method-override', 'remote-user',
])
/** By these a proxy says who asked for what: only a trusted peer's word is kept. */
const SAID_BY_PROXIES: ReadonlySet<string> = new Set([
  'forwarded', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'x-original-url', 'x-rewrite-url',
])
const KINDS: ReadonlySet<string> = new Set<Kind>([
  'host', 'cookie', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'expect', 'via', 'origin', 'accept', 'max-forwards',
])
const isKind = (name: string): name is Kind => KINDS.has(name)

function kindOf(name: string, own: OwnNames): Kind {
  const lower = name.toLowerCase()
  const canonical = canonicalName(name)
  if (own.owns(canonical)) return 'drop'
  if (SAID_BY_PROXIES.has(canonical) || canonical.startsWith('x-forwarded')) return lower === canonical ? 'forwarded' : 'drop'
  if (isKind(lower)) return lower
  // `Proxy` becomes HTTP_PROXY in CGI (httpoxy, CVE-2016-5385). The request id is ours to give.
  if (isHopByHop(lower) || canonical === 'proxy' || canonical === 'x-request-id') return 'drop'
  return lower !== canonical && (SENSITIVE.has(canonical) || isHopByHop(canonical)) ? 'drop' : 'plain'
}

const HOST = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/
const DIGITS = /^\d{1,15}$/

/** `name`, `name:port`, `[v6]` or `[v6]:port`: the authority of an http URL without user information. */
export function isHost(text: string): boolean {
  return HOST.test(text)
}

export function createRequestHeadersReader(own: OwnNames): ReadRequestHeaders {
  const classify = memoizeByName((name) => kindOf(name, own))

  return (raw) => {
    const fields: string[] = []
    const cookies: string[] = []
    const forwarded: string[] = []
    const via: string[] = []
    const single: Partial<Record<Kind, string>> = {}
    let named: string[] | undefined

    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] as string
      const value = raw[i + 1] as string
      const kind = classify(name)
      switch (kind) {
        case 'plain': fields.push(name, value); break
        case 'drop': break
        case 'cookie': cookies.push(value); break
        case 'forwarded': forwarded.push(name, value); break
        case 'via': via.push(value); break
        case 'connection': {
          const options = namedByConnection(value)
          if (options.length > 0) named = [...(named ?? []), ...options]
          break
        }
        case 'host':
        case 'content-length':
        case 'transfer-encoding':
          if (single[kind] !== undefined) throw new RequestInvalidError(`more than one ${name} field`)
          single[kind] = value
          break
        case 'origin':
        case 'accept':
          fields.push(name, value)
          single[kind] = value
          break
        case 'expect':
          if (value.toLowerCase() !== '100-continue') throw new RequestInvalidError('an expectation other than 100-continue', 417)
          single[kind] = value
          break
        case 'upgrade':
        case 'max-forwards': single[kind] = value; break
      }
    }

    const { contentLength, isChunked } = framingOf(single['content-length'], single['transfer-encoding'])
    return {
      fields: named ? withoutNamed(fields, new Set(named)) : fields,
      cookies,
      forwarded,
      via,
      host: hostOf(single.host),
      upgrade: single.upgrade,
      origin: single.origin,
      accept: single.accept,
      maxForwards: single['max-forwards'],
      expectsContinue: single.expect !== undefined,
      contentLength,
      isChunked,
    }
  }
}

/** What Connection names goes no further (RFC 9110 section 7.6.1). What is meant for us, or written by us, it cannot take away. */
function withoutNamed(fields: RawHeaders, named: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (!named.has(name.toLowerCase())) kept.push(name, fields[i + 1] as string)
  }
  return kept
}

/** HTTP/1.1 needs one Host (RFC 9112 section 3.2); an HTTP/1.0 request may have none. */
function hostOf(value: string | undefined): string {
  if (value === undefined) return ''
  if (!isHost(value)) throw new RequestInvalidError('the Host field is not a host')
  return value
}

/** Stricter than RFC 9112 section 6: nothing but one plain Content-Length or exactly `chunked`. */
function framingOf(length: string | undefined, encoding: string | undefined): Pick<RequestHeaders, 'contentLength' | 'isChunked'> {
  if (encoding !== undefined && length !== undefined) throw new RequestInvalidError('both Content-Length and Transfer-Encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') throw new RequestInvalidError('a Transfer-Encoding other than chunked', 501)
  if (length !== undefined && !DIGITS.test(length)) throw new RequestInvalidError('the Content-Length is not a number')
  return { contentLength: length === undefined ? undefined : Number(length), isChunked: encoding !== undefined }
}
