import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { CookieJar } from './cookie-jar.ts'
import { fieldsOf, valuesOf, type HeaderList } from './http-framing.ts'

export interface HttpClientOptions {
  /** Verify the server's certificate against this CA; without it any certificate is accepted. */
  readonly ca?: string
  readonly keepAlive?: boolean
  readonly maxSockets?: number
  readonly timeoutMs?: number
  /** Sent with every request unless it names the same fields itself. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpRequestOptions {
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array
  /** Sent as JSON with its Content-Type. */
  readonly json?: unknown
  /** Follow up to this many redirects, as GET after 301, 302 and 303. Default 0. */
  readonly follow?: number
  /** Neither send nor keep cookies. */
  readonly anonymous?: boolean
  readonly signal?: AbortSignal
}

/** A response read to its end. `headers` is the raw list, in order and as spelt. */
export interface HttpReply {
  readonly status: number
  readonly reason: string
  readonly url: string
  readonly headers: HeaderList
  readonly fields: Record<string, string>
  readonly trailers: HeaderList
  readonly bytes: Buffer
  readonly body: string
  header(name: string): string | undefined
  all(name: string): string[]
  json<T = unknown>(): T
}

/** A browser-like client for end-to-end tests: keep-alive connections, a cookie jar, redirects only when asked. */
export class HttpClient {
  readonly jar = new CookieJar()
  readonly #agent: HttpAgent
  readonly #isTls: boolean

  constructor(readonly baseUrl: string, private readonly options: HttpClientOptions = {}) {
    const { keepAlive = true, maxSockets = Infinity, ca } = options
    this.#isTls = baseUrl.startsWith('https:')
    this.#agent = this.#isTls
      ? new HttpsAgent({ keepAlive, maxSockets, ...(ca === undefined ? { rejectUnauthorized: false } : { ca }) })
      : new HttpAgent({ keepAlive, maxSockets })
  }

  get(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('GET', path, options) }
  head(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('HEAD', path, options) }
  post(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('POST', path, options) }
  put(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('PUT', path, options) }
  patch(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('PATCH', path, options) }
  delete(path: string, options?: HttpRequestOptions): Promise<HttpReply> { return this.request('DELETE', path, options) }

  /** Rejects when the connection fails or the body is cut (code ECONNRESET), never for a status. */
  async request(method: string, path: string, options: HttpRequestOptions = {}): Promise<HttpReply> {
    const url = new URL(path, this.baseUrl)
    const reply = await this.#exchange(method, url, options)
    const location = reply.header('location')
    if (!options.follow || location === undefined || reply.status < 300) return reply
    const next = { ...options, follow: options.follow - 1 }
    const target = new URL(location, url).href
    if (reply.status === 307 || reply.status === 308) return await this.request(method, target, next)
    const { body: _body, json: _json, ...bodiless } = next
    return await this.request(method === 'HEAD' ? 'HEAD' : 'GET', target, bodiless)
  }

  /** Closes idle and busy connections. */
  close(): void { this.#agent.destroy() }
  [Symbol.dispose](): void { this.close() }
  async [Symbol.asyncDispose](): Promise<void> { this.close() }

  async #exchange(method: string, url: URL, options: HttpRequestOptions): Promise<HttpReply> {
    const { anonymous = false } = options
    const body = options.json === undefined ? options.body : JSON.stringify(options.json)
    const headers: Record<string, string | string[]> = { ...this.options.headers, ...options.headers }
    if (options.json !== undefined) headers['content-type'] ??= 'application/json'
    if (body !== undefined && !hasField(headers, 'transfer-encoding')) headers['content-length'] ??= String(Buffer.byteLength(body))
    const cookies = anonymous ? '' : this.jar.headerFor(url.pathname)
    if (cookies !== '' && !hasField(headers, 'cookie')) headers['cookie'] = cookies

    const message = await this.#send(method, url, headers, body, options.signal)
    const bytes = await buffer(message)
    const list = pairsOf(message.rawHeaders)
    if (!anonymous) for (const line of valuesOf(list, 'set-cookie')) this.jar.store(line, url.pathname)
    return replyOf(message, url, list, bytes)
  }

  #send(
    method: string, url: URL, headers: Record<string, string | string[]>, body: string | Uint8Array | undefined, signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const { timeoutMs = 10_000 } = this.options
    return new Promise((resolve, reject) => {
      const outgoing = (this.#isTls ? requestHttps : requestHttp)(url, { method, headers, agent: this.#agent, ...(signal && { signal }) })
      outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no answer to ${method} ${url.pathname} within ${timeoutMs} ms`)))
      outgoing.once('response', resolve)
      outgoing.on('error', reject)
      if (hasField(headers, 'expect')) {            // as RFC 9110 section 10.1.1 wants: the body only when asked for
        outgoing.once('continue', () => outgoing.end(body))
        outgoing.flushHeaders()
      } else outgoing.end(body)
    })
  }
}

export function httpClient(baseUrl: string, options: HttpClientOptions = {}): HttpClient {
  return new HttpClient(baseUrl, options)
}

function replyOf(message: IncomingMessage, url: URL, headers: HeaderList, bytes: Buffer): HttpReply {
  const body = bytes.toString('utf8')
  return {
    status: message.statusCode ?? 0, reason: message.statusMessage ?? '', url: url.href,
    headers, fields: fieldsOf(headers), trailers: pairsOf(message.rawTrailers), bytes, body,
    header: (name) => valuesOf(headers, name)[0],
    all: (name) => valuesOf(headers, name),
    json: <T>() => JSON.parse(body) as T,
  }
}

function pairsOf(raw: readonly string[]): HeaderList {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[at * 2] ?? '', raw[at * 2 + 1] ?? ''] as const)
}

function hasField(headers: object, name: string): boolean {
  return Object.keys(headers).some((candidate) => candidate.toLowerCase() === name)
}
