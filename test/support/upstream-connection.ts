import type { Socket } from 'node:net'
import { fieldsOf, readBody, requestFraming, valuesOf, type FramingError, type HeaderList, type MessageBody, type MessageHead } from './http-framing.ts'
import { toBytes, type Bytes } from './raw-answers.ts'
import { SocketReader, type Ending } from './socket-reader.ts'

/** One TCP, TLS or unix connection that the upstream accepted. */
export class UpstreamConnection {
  readonly reader: SocketReader
  /** Requests read from this connection, in order; `requestCount` counts them when only the latest are kept. */
  readonly requests: SeenRequest[] = []
  requestCount = 0
  readonly closed: Promise<void>
  /** How the peer's sending side ended. */
  readonly peerEnded: Promise<Ending>

  constructor(readonly id: number, readonly transport: Socket, readonly socket: Socket, keepBytes: boolean) {
    this.reader = new SocketReader(socket, { keep: keepBytes })
    this.peerEnded = this.reader.ended
    this.closed = new Promise((resolve) => { socket.once('close', () => resolve()) })
  }

  get isOpen(): boolean { return !this.socket.destroyed }
  /** Every byte the peer sent, untouched. */
  get received(): Buffer { return this.reader.received }

  /** Resolves when the kernel took the bytes or the connection is gone; never rejects. */
  send(bytes: Bytes): Promise<void> {
    return new Promise((resolve) => {
      if (!this.socket.writable) resolve()
      else this.socket.write(toBytes(bytes), () => resolve())
    })
  }

  end(): void { this.socket.end() }

  /** RST on TCP (under TLS too); a unix socket has none and is closed hard. */
  reset(): void {
    if (this.transport.remoteAddress === undefined) this.transport.destroy()
    else this.transport.resetAndDestroy()
    this.socket.destroy()
  }
}

/** A request as it arrived: nothing merged, reordered or lower-cased. */
export class SeenRequest {
  body: Buffer = Buffer.alloc(0)
  trailers: HeaderList = []
  /** The peer ended before the body did. */
  truncated = false
  /** Head and body exactly as they came (empty when bytes are not kept). */
  rawBytes: Buffer = Buffer.alloc(0)
  /** Set when the peer broke RFC 9112's framing; the connection is then answered 400 and ended. */
  framingError: FramingError | undefined
  /** Settles when the body is complete, cut or found broken. */
  complete: Promise<void> = Promise.resolve()
  readonly method: string
  readonly target: string
  readonly version: string
  readonly headers: HeaderList
  readonly rawHead: string

  constructor(private readonly head: MessageHead, readonly connection: UpstreamConnection, readonly index: number) {
    const parsed = /^(\S+) (.*?) ?(\S+)$/.exec(head.startLine)
    this.method = parsed?.[1] ?? head.startLine
    this.target = parsed?.[2] ?? ''
    this.version = parsed?.[3] ?? ''
    this.headers = head.headers
    this.rawHead = head.raw
  }

  /** Lower-cased names to joined values. */
  get fields(): Record<string, string> { return fieldsOf(this.headers) }
  header(name: string): string | undefined { return valuesOf(this.headers, name)[0] }
  all(name: string): string[] { return valuesOf(this.headers, name) }

  /** Reads the body; `complete` settles with it. */
  receive(recorded: () => Buffer): void {
    this.complete = receiveBody(this.connection.reader, this.head)
      .then((body) => { Object.assign(this, body) })
      .catch((error: unknown) => { this.framingError = error as FramingError })
      .finally(() => { this.rawBytes = recorded() })
  }
}

async function receiveBody(reader: SocketReader, head: MessageHead): Promise<MessageBody> {
  if (head.broken !== undefined) throw head.broken
  return await readBody(reader, requestFraming(head.headers))
}
