import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseSetCookie } from '../adapters/cookies/jar.ts'
import { mapCookiePairs } from '../adapters/cookies/request-pairs.ts'
import type { Clock } from '../clock.ts'
import { lifetimeOf, randomBitsOf, type Digester, type SeenExchange, type SeenField, type SeenSetCookie } from './seen.ts'

/** So much of a body is looked at; forms with a password in them are shorter. */
const MAX_BODY = 65_536
const LOGIN_PATH = /(^|[/_.-])(log-?in|sign-?in|authenticate|j_security_check)\b/i
const LOGIN_BY_RETURN = /[?&](code|ticket|SAMLResponse)=/
const LOGOUT = /(log|sign)[-_]?(out|off)\b/i
const PASSWORD_FIELD = /pass(word|wd|phrase|code)?\b|pwd|^pw$/i
/** What may be shown of the name of a field. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_.[\]-]{0,40}$/
const PLAIN_PATH = /^\/[A-Za-z0-9._~/-]{0,100}$/

/** Looks at one request and its answer as they go by, changes nothing, and tells `seen` once when the answer's head is out. */
export function watchExchange(request: IncomingMessage, response: ServerResponse, { digester, clock, seen }: Watching): void {
  const body = watchBody(request)
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse
  let isTold = false
  response.writeHead = ((...args: unknown[]) => {
    if (!isTold) {
      isTold = true
      seen(exchangeOf(request, Number(args[0]), setCookiesIn(args.at(-1)), body(), { digester, clock }))
    }
    return writeHead(...args)
  })
}

export interface Watching {
  readonly digester: Digester
  readonly clock: Clock
  readonly seen: (exchange: SeenExchange) => void
}

/** The body so far. Whoever reads the request makes it emit what is read: nothing is held up or taken away. */
function watchBody(request: IncomingMessage): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  const emit = request.emit.bind(request)
  request.emit = ((event: string, ...args: unknown[]) => {
    const [chunk] = args
    if (event === 'data' && Buffer.isBuffer(chunk) && bytes < MAX_BODY) bytes += chunks.push(chunk) && chunk.length
    return emit(event, ...args)
  }) as typeof request.emit
  return () => Buffer.concat(chunks).subarray(0, MAX_BODY).toString('utf8')
}

/** The lines in the header list our own respond() writes. */
function setCookiesIn(fields: unknown): string[] {
  if (!Array.isArray(fields)) return []
  return (fields as unknown[]).filter((_, i) => i % 2 === 1 && String((fields as unknown[])[i - 1]).toLowerCase() === 'set-cookie').map(String)
}

function exchangeOf(request: IncomingMessage, status: number, setCookies: readonly string[], body: string, { digester, clock }: Pick<Watching, 'digester' | 'clock'>): SeenExchange {
  const { method = '', url = '', headers } = request
  const path = url.split('?')[0] ?? ''
  const place = { host: (headers.host ?? '').toLowerCase().replace(/:\d+$/, ''), path: path.startsWith('/') ? path : '/' }
  const form = formFields(body, headers['content-type'] ?? '')
  const cookies: { name: string; value: string }[] = []
  mapCookiePairs(linesOf(request, 'cookie'), ({ name, value }) => {
    if (name !== '') cookies.push({ name, value })
    return undefined
  })
  const isPosted = method === 'POST' || method === 'PUT'
  const hasPassword = form.some(([name]) => PASSWORD_FIELD.test(name))
  return {
    isLogin: status < 400 && !LOGOUT.test(path) && (isPosted ? hasPassword || LOGIN_PATH.test(path) : LOGIN_BY_RETURN.test(url)),
    isLogout: status < 400 && LOGOUT.test(url),
    cookies: cookies.map(({ name, value }) => ({ name, value: digester.valueOf(value) })),
    fields: shown(form, digester),
    headers: shown(headerFields(request), digester),
    setCookies: setCookies.flatMap((line) => seenSetCookie(line, place, digester, clock) ?? []),
  }
}

function seenSetCookie(line: string, place: { host: string; path: string }, digester: Digester, clock: Clock): SeenSetCookie | undefined {
  const now = clock()
  const cookie = parseSetCookie(line, place, now)
  if (!cookie) return undefined
  const lifetimeMs = lifetimeOf(cookie.expiresAt, now)
  const attributes = line.split(';').slice(1).map((attribute) => attribute.trim())
  const attribute = (name: string): string | undefined => attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1).trim()
  const path = attribute('path')
  return {
    name: cookie.name,
    value: digester.valueOf(cookie.value),
    isDeletion: lifetimeMs === 0,
    isHttpOnly: attributes.some((text) => text.toLowerCase() === 'httponly'),
    path: path !== undefined && PLAIN_PATH.test(path) && randomBitsOf(path) === 0 && !holds(path, cookie.value) ? path : undefined,
    domain: cookie.isHostOnly ? undefined : cookie.domain,
    lifetimeMs,
  }
}

function holds(text: string, value: string): boolean {
  return value !== '' && text.includes(value)
}

function linesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)
}

/** Scripts send tokens back in headers of their own. */
function headerFields({ rawHeaders }: IncomingMessage): [string, string][] {
  return rawHeaders.flatMap((value, i): [string, string][] => {
    const name = rawHeaders[i - 1]
    return i % 2 === 1 && name !== undefined && name.toLowerCase() !== 'cookie' ? [[name, value]] : []
  })
}

/** Names that could hold a value themselves are not shown. */
function shown(fields: readonly (readonly [string, string])[], digester: Digester): SeenField[] {
  return fields.map(([name, value]) => digester.fieldOf(PLAIN_NAME.test(name) && randomBitsOf(name) === 0 && !value.includes(name) && !holds(name, value) ? name : 'of another name', value))
}

/** Names and values in a form's body or in JSON; nothing where it is neither. */
function formFields(body: string, contentType: string): [string, string][] {
  if (body === '') return []
  if (/^application\/x-www-form-urlencoded/i.test(contentType)) return [...new URLSearchParams(body)]
  if (/^multipart\/form-data/i.test(contentType)) return [...body.matchAll(/\bname="([^"\r\n]{1,200})"\r\n\r\n([^\r\n]{0,4096})\r\n/g)].map(([, name = '', value = '']) => [name, value])
  if (/^application\/([\w.-]+\+)?json/i.test(contentType)) return jsonFields(body)
  return []
}

function jsonFields(body: string): [string, string][] {
  const found: [string, string][] = []
  try {
    JSON.parse(body, (name, value: unknown) => {
      if (typeof value === 'string') found.push([name, value])
      return value
    })
  } catch {
    return []                                           // cut off, or not JSON after all
  }
  return found
}
