import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { readHead } from './http-framing.ts'
import { answerOk, rawResponse, type Answer, type Script, type Step, type StepOutcome } from './raw-answers.ts'
import { SeenRequest, UpstreamConnection } from './upstream-connection.ts'
import { waitFor } from './wait-for.ts'

export * from './raw-answers.ts'
export { SeenRequest, UpstreamConnection } from './upstream-connection.ts'

export interface RawUpstreamOptions {
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Listen on a unix socket in a fresh directory instead of a loopback port. */
  readonly unix?: boolean
  readonly port?: number
  /** Keep the bytes of every connection (default). Off for soaks; requests are then kept without `rawBytes`. */
  readonly keepBytes?: boolean
  /** How many of the latest requests `requests` holds; closed connections are then forgotten too. Default: all. */
  readonly keepRequests?: number
}

/** A server that believes what it reads, records the exact bytes, and answers as its script says. */
export class RawUpstream {
  readonly requests: SeenRequest[] = []
  readonly connections: UpstreamConnection[] = []
  requestCount = 0
  connectionCount = 0
  readonly #next: Script[] = []
  #script: Script = answerOk
  #when: 'head' | 'body' = 'body'
  #greeting: Answer | undefined
  readonly #scriptErrors: unknown[] = []
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => { this.#accept(socket) })
  readonly #socketPath: string | undefined

  constructor(private readonly options: RawUpstreamOptions) {
    if (options.unix) this.#socketPath = join(mkdtempSync(join(tmpdir(), 'upstream-')), 'http.sock')
  }

  get port(): number { return (this.#server.address() as AddressInfo).port }
  get url(): string {
    if (this.#socketPath !== undefined) return `unix:${this.#socketPath}`
    return `${this.options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`
  }
  get socketPath(): string | undefined { return this.#socketPath }
  get openConnections(): UpstreamConnection[] { return this.connections.filter(({ isOpen }) => isOpen) }

  /** The latest request; throws when there was none. */
  get lastRequest(): SeenRequest {
    const last = this.requests.at(-1)
    if (last === undefined) throw new Error('the upstream has seen no request')
    return last
  }

  /** From now on answers with `script`: after the whole request, or (`when: 'head'`) before its body is read. */
  respond(script: Script, { when = 'body' }: { when?: 'head' | 'body' } = {}): void {
    this.#script = script
    this.#when = when
  }

  /** Answers the next requests with these, one each, then goes back to the script. */
  respondOnce(...scripts: Script[]): void { this.#next.push(...scripts) }

  /** Plays `answer` on each new connection before anything is read. */
  greet(answer: Answer | undefined): void { this.#greeting = answer }

  /** Resolves with the first `count` requests once so many have come. */
  async waitForRequests(count: number, timeoutMs = 5_000): Promise<SeenRequest[]> {
    await waitFor(() => this.requestCount >= count, () => `${count} requests (${this.requestCount} came)`, timeoutMs)
    return this.requests.slice(0, count)
  }

  async waitForConnections(count: number, timeoutMs = 5_000): Promise<UpstreamConnection[]> {
    await waitFor(() => this.connectionCount >= count, () => `${count} connections (${this.connectionCount} came)`, timeoutMs)
    return this.connections.slice(0, count)
  }

  /** Forgets the requests so far; connections stay. */
  forget(): void {
    this.requests.length = 0
    this.requestCount = 0
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      if (this.#socketPath !== undefined) this.#server.listen(this.#socketPath, resolve)
      else this.#server.listen(this.options.port ?? 0, '127.0.0.1', resolve)
    })
    return this
  }

  /** Stops listening and cuts every connection. Throws when a script threw, so that a broken test cannot pass. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.#server.close(() => resolve()) })
    for (const connection of [...this.connections]) connection.socket.destroy()
    await closed
    if (this.#socketPath !== undefined) rmSync(dirname(this.#socketPath), { recursive: true, force: true })
    if (this.#scriptErrors.length > 0) throw new AggregateError(this.#scriptErrors.splice(0), 'a script of the raw upstream failed')
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close() }

  #accept(transport: Socket): void {
    const { tls, keepBytes = true } = this.options
    transport.on('error', () => {})                  // seen through the reader
    const socket = tls ? new TLSSocket(transport, { isServer: true, ...tls }) : transport
    const connection = new UpstreamConnection(this.connectionCount++, transport, socket, keepBytes)
    this.connections.push(connection)
    if (this.options.keepRequests !== undefined) {
      void connection.closed.then(() => this.connections.splice(this.connections.indexOf(connection), 1))
    }
    this.#serve(connection).catch((error: unknown) => {
      this.#scriptErrors.push(error)
      connection.reset()
    })
  }

  async #serve(connection: UpstreamConnection): Promise<void> {
    let outcome = await play(this.#greeting, connection, undefined)
    while (outcome === 'continue' && connection.isOpen) {
      const request = await this.#read(connection)
      if (request === undefined || request.truncated) break
      const answer = request.framingError ? undefined : await this.#answerTo(request)
      outcome = await play(answer, connection, request)
      await request.complete
      if (request.framingError !== undefined) {
        await connection.send(rawResponse({ status: 400, reason: 'Bad Request', body: request.framingError.message }))
        break
      }
    }
    if (outcome === 'continue') connection.end()
  }

  async #answerTo(request: SeenRequest): Promise<Answer | undefined> {
    const script = this.#next.shift() ?? this.#script
    return typeof script === 'function' ? await script(request, request.connection) ?? undefined : script
  }

  /** The next request: when its body is complete, or at its head if the script answers there. Undefined at the end. */
  async #read(connection: UpstreamConnection): Promise<SeenRequest | undefined> {
    const recorded = this.options.keepBytes === false ? () => Buffer.alloc(0) : connection.reader.record()
    const head = await readHead(connection.reader)
    if (head === undefined) return undefined
    const request = new SeenRequest(head, connection, connection.requestCount++)
    request.receive(recorded)
    if (this.#when === 'body') await request.complete
    this.#keep(request)
    return request
  }

  #keep(request: SeenRequest): void {
    this.requestCount++
    this.requests.push(request)
    request.connection.requests.push(request)
    const { keepRequests = Infinity } = this.options
    for (const list of [this.requests, request.connection.requests]) {
      if (list.length > keepRequests) list.splice(0, list.length - keepRequests)
    }
  }
}

/** A listening raw upstream on loopback; `script` answers every request (default: 200 "ok"). */
export async function startRawUpstream(script: Script = answerOk, options: RawUpstreamOptions = {}): Promise<RawUpstream> {
  const upstream = new RawUpstream(options)
  upstream.respond(script)
  return await upstream.listen()
}

async function play(answer: Answer | undefined, connection: UpstreamConnection, request: SeenRequest | undefined): Promise<StepOutcome> {
  const steps: readonly Step[] = answer === undefined ? [] : Array.isArray(answer) ? answer as readonly Step[] : [answer as Step]
  for (const one of steps) {
    const outcome = await playStep(one, connection, request)
    if (outcome === 'stop' || !connection.isOpen) return 'stop'
  }
  return 'continue'
}

async function playStep(one: Step, connection: UpstreamConnection, request: SeenRequest | undefined): Promise<StepOutcome> {
  if (typeof one === 'object' && 'play' in one) return await one.play(connection, request)
  await connection.send(one)
  return 'continue'
}
