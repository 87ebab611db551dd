import { connect, type Socket, type NetConnectOpts } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { once } from 'node:events'
import { fieldsOf, FramingError, readBody, readHead, responseFraming, valuesOf, type HeaderList } from './http-framing.ts'
import { toBytes, type Bytes } from './raw-answers.ts'
import { SocketReader, type Ending, type SocketReaderOptions } from './socket-reader.ts'
import { within } from './wait-for.ts'

export { httpClient, type HttpClient, type HttpReply } from './http-client.ts'

export interface RawTarget {
  readonly host?: string
  readonly port?: number
  /** A unix socket's path, instead of host and port. */
  readonly path?: string
  /** True: any certificate is accepted; or options such as `ca` and `servername`, and then it is verified. */
  readonly tls?: boolean | ConnectionOptions
  /** The loopback address to come from, for example 127.0.0.2. */
  readonly localAddress?: string
}

/** The peer ended before a whole response head came. */
export class NoResponseError extends Error {
  constructor(readonly ending: Ending | undefined, readonly received: Buffer) {
    super(`the peer ended (${ending}) before a response head; unread: ${JSON.stringify(received.toString('latin1').slice(0, 500))}`)
  }
}

/** One response, as it was on the wire. */
export class RawReply {
  readonly version: string
  readonly status: number
  readonly reason: string

  constructor(
    readonly statusLine: string, readonly headers: HeaderList, readonly rawHead: string,
    readonly body: Buffer, readonly trailers: HeaderList,
    /** The connection ended before the framing said the body was complete. */
    readonly truncated: boolean,
    /** How the body was framed. */
    readonly framing: 'none' | 'length' | 'chunked' | 'close',
    /** Interim (1xx) responses that came before. */
    readonly interim: readonly RawReply[],
  ) {
    const parsed = /^(HTTP\/\d\.\d) (\d{3})(?: (.*))?$/s.exec(statusLine)
    if (parsed === null) throw new FramingError(`bad status line: ${JSON.stringify(statusLine)}`)
    this.version = parsed[1] ?? ''
    this.status = Number(parsed[2])
    this.reason = parsed[3] ?? ''
  }

  get text(): string { return this.body.toString('utf8') }
  get fields(): Record<string, string> { return fieldsOf(this.headers) }
  header(name: string): string | undefined { return valuesOf(this.headers, name)[0] }
  all(name: string): string[] { return valuesOf(this.headers, name) }
  json<T = unknown>(): T { return JSON.parse(this.text) as T }
}

export interface ReadOptions {
  /** The method of the request it answers; HEAD and CONNECT change the framing. Default GET. */
  readonly method?: string
  readonly timeoutMs?: number
}

/** A client that sends any bytes and reads responses strictly. Reads reject after `timeoutMs` (5 s), and say what had come. */
export class RawClient {
  readonly reader: SocketReader
  /** How the peer's sending side ended; `local` when this side destroyed the socket first. */
  readonly closedByPeer: Promise<Ending>

  constructor(readonly socket: Socket, options: SocketReaderOptions = {}) {
    this.reader = new SocketReader(socket, options)
    this.closedByPeer = this.reader.ended
  }

  get received(): Buffer { return this.reader.received }
  get isOpen(): boolean { return !this.socket.destroyed }

  /** Sends bytes (text is latin1); resolves once the kernel took them or the connection is gone. */
  send(bytes: Bytes): Promise<void> {
    return new Promise((resolve) => {
      if (!this.socket.writable) resolve()
      else this.socket.write(toBytes(bytes), () => resolve())
    })
  }

  /** The next final response, its interim ones beside it. A 101 is final; the bytes after it are left for `read`. */
  async readResponse({ method = 'GET', timeoutMs = 5_000 }: ReadOptions = {}): Promise<RawReply> {
    return await this.#timed(this.#readFinal(method), timeoutMs, 'response')
  }

  /** Sends a request and reads its response. */
  async request(bytes: Bytes, options: ReadOptions = {}): Promise<RawReply> {
    void this.send(bytes)
    return await this.readResponse({ method: /^HEAD /.test(toBytes(bytes).toString('latin1', 0, 5)) ? 'HEAD' : 'GET', ...options })
  }

  /** At least one byte, or none at the end; or exactly `count` (fewer only at the end). */
  async read(count?: number, timeoutMs = 5_000): Promise<Buffer> {
    return await this.#timed(count === undefined ? this.reader.readSome() : this.reader.readExactly(count), timeoutMs, 'bytes')
  }

  /** Everything until the peer ends, as bytes. */
  async readAll(timeoutMs = 5_000): Promise<Buffer> {
    return await this.#timed(this.reader.readToEnd(), timeoutMs, 'end of the connection')
  }

  /** How the peer ended; rejects when it has not within `timeoutMs`. */
  async waitForClose(timeoutMs = 5_000): Promise<Ending> {
    return await this.#timed(this.closedByPeer, timeoutMs, 'close by the peer')
  }

  /** Stops reading: the peer meets back-pressure, and neither bytes nor an end are noticed until `resume`. */
  pause(): void { this.socket.pause() }
  resume(): void { this.socket.resume() }

  /** FIN: nothing more will be sent; answers are still read. */
  halfClose(): void { this.socket.end() }

  /** RST. Not under TLS and on unix sockets, where the socket is closed hard. */
  reset(): void {
    if ('encrypted' in this.socket || this.socket.remoteAddress === undefined) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  close(): void { this.socket.destroy() }
  [Symbol.dispose](): void { this.close() }
  async [Symbol.asyncDispose](): Promise<void> { this.close() }

  async #readFinal(method: string): Promise<RawReply> {
    const interim: RawReply[] = []
    for (;;) {
      const head = await readHead(this.reader)
      if (head === undefined) throw new NoResponseError(this.reader.ending, this.reader.unread)
      if (head.broken !== undefined) throw head.broken
      const status = Number(head.startLine.split(' ')[1])
      const framing = responseFraming(status, head.headers, method)
      const { body, trailers, truncated } = await readBody(this.reader, framing)
      const reply = new RawReply(head.startLine, head.headers, head.raw, body, trailers, truncated, framing.kind, interim)
      if (reply.status >= 200 || reply.status === 101) return reply
      interim.push(reply)
    }
  }

  async #timed<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    return await within(promise, timeoutMs, () => `${what} (unread: ${JSON.stringify(this.reader.unread.toString('latin1').slice(0, 500))})`)
  }
}

/** Connects to `http://h:p`, `https://h:p`, `unix:/path`, a loopback port or a target; rejects as the system does (ECONNREFUSED). */
export async function connectRaw(target: string | number | RawTarget, options: SocketReaderOptions = {}): Promise<RawClient> {
  const { tls, ...address } = typeof target === 'object' ? target : targetOf(target)
  const where = { host: '127.0.0.1', ...address, allowHalfOpen: true, noDelay: true } as NetConnectOpts
  const transport = connect(where)
  await once(transport, 'connect')
  if (tls === undefined || tls === false) return new RawClient(transport, options)
  const secured = connectTls({ socket: transport, ...(tls === true ? { rejectUnauthorized: false } : tls) })
  await once(secured, 'secureConnect')
  return new RawClient(secured, options)
}

/** One connection, one request, one response; the connection is closed after it. */
export async function rawRequest(target: string | number | RawTarget, bytes: Bytes, options: ReadOptions = {}): Promise<RawReply> {
  using client = await connectRaw(target)
  return await client.request(bytes, options)
}

function targetOf(target: string | number): RawTarget {
  if (typeof target === 'number') return { port: target }
  if (target.startsWith('unix:')) return { path: target.slice('unix:'.length) }
  const { protocol, hostname, port } = new URL(target)
  const tls = protocol === 'https:'
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (tls ? 443 : 80)), tls }
}
