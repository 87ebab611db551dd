import type { RawHeaders } from '../http/field-names.ts'

/** A response that is not what RFC 9112 allows, or larger than we take: the connection it came on is of no more use. */
export class ResponseFramingError extends Error {
  readonly code = 'ERR_UPSTREAM_FRAMING'
}

/** Who is told what a connection brings. */
export interface ResponseSink {
  /** An interim response (RFC 9110 section 15.2), any number of them before the head. */
  onInterim(status: number, headers: RawHeaders): void
  onHead(status: number, reason: string, headers: RawHeaders): void
  /** A piece of the content, its transfer coding removed; a view of the bytes that were pushed. */
  onBody(piece: Buffer): void
  onEnd(): void
}

type State = 'head' | 'length' | 'untilClose' | 'chunkSize' | 'chunk' | 'chunkEnd' | 'trailers' | 'done'

const HEAD_END = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)
/** With extensions, which are ignored (RFC 9112 section 7.1.1). */
const MAX_CHUNK_LINE_BYTES = 1_024

// RFC 9112 sections 4 and 5, without obsolete line folding: it is for a proxy to refuse or replace (section 5.2).
const HEAD = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/
const STATUS_END = 12
const MINOR_VERSION_AT = 7
const ONE = 49
const CR = 13
const LF = 10
const CHUNK_LINE = /^([0-9A-Fa-f]+)[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r$/
const DIGITS = /^\d+$/
const TRAILERS = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*(?:\r\n|$))*$/
const BARE_LINE_FEED = /[^\r]\n/

/**
 * Reads the responses of one HTTP/1.1 connection, strictly: what two readers could read differently is refused whole (RFC 9112
 * sections 6.3 and 11.2). Holds no more than a head that is not whole yet.
 */
export class ResponseReader {
  /** Whether another response may follow on the connection once this one is over (RFC 9112 section 9.3). */
  canStay = true
  /** What the server says of how long it keeps an idle connection, ms; undefined when it says nothing. */
  keepAliveMs: number | undefined
  private state: State = 'done'
  private isHead = false
  /** Its first `heldBytes` wait for what follows them. */
  private held: Buffer = NOTHING
  private heldBytes = 0
  /** Bytes of `held` in which no end of a head was found. */
  private searched = 0
  /** Bytes left of the content, or of the chunk. */
  private left = 0

  constructor(private readonly sink: ResponseSink, private readonly maxHeadBytes: number) {}

  /** Whether a response was asked for and is not over. */
  get isReading(): boolean {
    return this.state !== 'done'
  }

  /** The answer to a request is to come. `method` decides whether its content does. */
  expect(method: string): void {
    this.state = 'head'
    this.isHead = method === 'HEAD'
    this.canStay = true
    this.keepAliveMs = undefined
  }

  /** @throws ResponseFramingError, also for bytes that belong to no response. */
  push(bytes: Buffer): void {
    const chunk = this.heldBytes === 0 ? bytes : this.appended(bytes)
    let at = 0
    while (at < chunk.length) {
      const next = this.read(chunk, at)
      if (next < 0) {
        if (at > 0 || chunk === bytes) this.held = chunk.subarray(at)
        this.heldBytes = chunk.length - at
        return
      }
      at = next
    }
    this.held = NOTHING
    this.heldBytes = 0
  }

  /** What is held and `bytes`. The room is doubled, so that a head that comes byte by byte is not copied for each. */
  private appended(bytes: Buffer): Buffer {
    const length = this.heldBytes + bytes.length
    if (length > this.held.length) {
      const room = Buffer.allocUnsafe(length * 2)
      this.held.copy(room, 0, 0, this.heldBytes)
      this.held = room
    }
    bytes.copy(this.held, this.heldBytes)
    return this.held.subarray(0, length)
  }

  /** The connection was ended in an orderly way. False: in the middle of a response. */
  end(): boolean {
    if (this.state !== 'untilClose') return this.state === 'done'
    this.finish()
    return true
  }

  /** Reads on from `at`; the place it got to, or -1 when there is not enough of it yet. */
  private read(chunk: Buffer, at: number): number {
    switch (this.state) {
      case 'head': return this.readHead(chunk, at)
      case 'length': case 'chunk': case 'untilClose': return this.readContent(chunk, at)
      case 'chunkSize': return this.readChunkSize(chunk, at)
      case 'chunkEnd': return this.readChunkEnd(chunk, at)
      case 'trailers': return this.readTrailers(chunk, at)
      case 'done': throw new ResponseFramingError('bytes that belong to no response')
    }
  }

  private readHead(chunk: Buffer, at: number): number {
    const end = this.endOfFields(chunk, at)
    if (end < 0) return -1
    this.readHeadText(chunk.toString('latin1', at, end))
    return end + HEAD_END.length
  }

  /** Where the empty line after a head or after trailers begins, less its own first CR LF; -1 when it has not come yet. */
  private endOfFields(chunk: Buffer, at: number): number {
    const from = at + this.searched
    const end = chunk.indexOf(HEAD_END, from)
    // The last three bytes may be the beginning of the end.
    const length = end < 0 ? Math.max(0, chunk.length - at - HEAD_END.length + 1) : end - at
    if (length > this.maxHeadBytes) throw new ResponseFramingError(`a response head of more than ${this.maxHeadBytes} bytes`)
    if (end < 0 && BARE_LINE_FEED.test(chunk.toString('latin1', from))) throw new ResponseFramingError('a line of the response head does not end with CR LF')
    this.searched = end < 0 ? length : 0
    return end
  }

  private readHeadText(head: string): void {
    if (!HEAD.test(head)) throw new ResponseFramingError('an invalid response head')
    const status = Number(head.slice(9, STATUS_END))
    let lineEnd = endOfLine(head, 0)
    const reason = head.slice(STATUS_END + 1, lineEnd)
    const headers: string[] = []
    let length: string | undefined
    let isChunked = false
    let connection = ''
    while (lineEnd < head.length) {
      const start = lineEnd + 2
      lineEnd = endOfLine(head, start)
      const colon = head.indexOf(':', start)
      const name = head.slice(start, colon)
      const value = withoutSpace(head, colon + 1, lineEnd)
      headers.push(name, value)
      switch (name.length) {
        case 10:
          if (isNamed(name, 'connection')) connection += `,${value.toLowerCase()}`
          else if (isNamed(name, 'keep-alive')) this.keepAliveMs = keepAliveMsOf(value)
          break
        case 14:
          if (!isNamed(name, 'content-length')) break
          if (length !== undefined || !DIGITS.test(value) || !Number.isSafeInteger(Number(value))) throw new ResponseFramingError('an invalid Content-Length')
          length = value
          break
        case 17:
          if (!isNamed(name, 'transfer-encoding')) break
          // We send no TE, so nothing else may come back (RFC 9112 section 6.1): any other coding would pass as content.
          if (isChunked || value.toLowerCase() !== 'chunked') throw new ResponseFramingError('a transfer coding that was not asked for')
          isChunked = true
      }
    }
    if (status < 200) {
      if (status === 101) throw new ResponseFramingError('a 101 nobody asked for')
      return this.sink.onInterim(status, headers)
    }
    const isVersion1_1 = head.charCodeAt(MINOR_VERSION_AT) === ONE
    if (isChunked && (length !== undefined || !isVersion1_1)) throw new ResponseFramingError('a length that two readers would take differently')
    this.canStay = !hasOption(connection, 'close') && (isVersion1_1 || hasOption(connection, 'keep-alive'))
    this.beginContent(status, length, isChunked)
    this.sink.onHead(status, reason, headers)
    if (this.state === 'length' && this.left === 0) this.finish()
  }

  /** RFC 9112 section 6.3. */
  private beginContent(status: number, length: string | undefined, isChunked: boolean): void {
    this.left = 0
    if (this.isHead || status === 204 || status === 304) {
      this.state = 'length'
      // Content that is named, though it may not come, often comes all the same, and too late to be told from the next answer.
      if (isChunked || (length !== undefined && Number(length) > 0)) this.canStay = false
    } else if (isChunked) this.state = 'chunkSize'
    else if (length !== undefined) {
      this.state = 'length'
      this.left = Number(length)
    } else {
      this.state = 'untilClose'
      this.canStay = false
    }
  }

  private readContent(chunk: Buffer, at: number): number {
    if (this.state === 'untilClose') {
      this.sink.onBody(at === 0 ? chunk : chunk.subarray(at))
      return chunk.length
    }
    const end = Math.min(chunk.length, at + this.left)
    this.left -= end - at
    this.sink.onBody(chunk.subarray(at, end))
    if (this.left === 0) {
      if (this.state === 'chunk') this.state = 'chunkEnd'
      else this.finish()
    }
    return end
  }

  private readChunkSize(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LF, at)
    if ((end < 0 ? chunk.length : end) - at > MAX_CHUNK_LINE_BYTES) throw new ResponseFramingError('a chunk size without end')
    if (end < 0) return -1
    const [, digits] = CHUNK_LINE.exec(chunk.toString('latin1', at, end)) ?? []
    const size = digits === undefined ? NaN : Number.parseInt(digits, 16)
    if (!Number.isSafeInteger(size)) throw new ResponseFramingError('an invalid chunk')
    this.left = size
    this.state = size === 0 ? 'trailers' : 'chunk'
    return end + 1
  }

  private readChunkEnd(chunk: Buffer, at: number): number {
    if (chunk.length - at < 2) return -1
    if (chunk[at] !== CR || chunk[at + 1] !== LF) throw new ResponseFramingError('a chunk longer than it says')
    this.state = 'chunkSize'
    return at + 2
  }

  /** Trailers are checked and dropped: nobody downstream asked for them (RFC 9110 section 6.5.1). */
  private readTrailers(chunk: Buffer, at: number): number {
    if (chunk[at] === CR && chunk[at + 1] === LF) {
      this.finish()
      return at + 2
    }
    const end = this.endOfFields(chunk, at)
    if (end < 0) return -1
    if (!TRAILERS.test(chunk.toString('latin1', at, end))) throw new ResponseFramingError('invalid trailers')
    this.finish()
    return end + HEAD_END.length
  }

  private finish(): void {
    this.state = 'done'
    this.sink.onEnd()
  }
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\r\n', from)
  return end < 0 ? text.length : end
}

/** Without the white space around a value (RFC 9110 section 5.5); `trim` would take 0xA0 as well. */
function withoutSpace(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isSpace(text.charCodeAt(from))) from++
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9
}

function isNamed(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower
}

function hasOption(connection: string, option: string): boolean {
  return connection !== '' && connection.split(',').some((each) => each.trim() === option)
}

/** `timeout=5, max=100` */
function keepAliveMsOf(value: string): number | undefined {
  const [, seconds] = /(?:^|[\s,;])timeout=(\d{1,6})/i.exec(value) ?? []
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}
