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
const CHUNK_LINE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
const DIGITS = /^\d{1,15}$/
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
  private held: Buffer = NOTHING
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
    let at = 0
    let chunk = bytes
    if (this.held.length > 0) {
      chunk = Buffer.concat([this.held, bytes])
      this.held = NOTHING
    }
    while (at < chunk.length) {
      const next = this.read(chunk, at)
      if (next < 0) {
        this.held = at === 0 ? chunk : chunk.subarray(at)
        return
      }
      at = next
    }
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
    const from = at + this.searched
    const end = chunk.indexOf(HEAD_END, from)
    if ((end < 0 ? chunk.length : end) - at > this.maxHeadBytes) throw new ResponseFramingError(`a response head of more than ${this.maxHeadBytes} bytes`)
    if (end < 0) {
      if (BARE_LINE_FEED.test(chunk.toString('latin1', from))) throw new ResponseFramingError('a line of the response head does not end with CR LF')
      this.searched = Math.max(0, chunk.length - at - HEAD_END.length)
      return -1
    }
    this.searched = 0
    this.readHeadText(chunk.toString('latin1', at, end))
    return end + HEAD_END.length
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
          if (length !== undefined || !DIGITS.test(value)) throw new ResponseFramingError('an invalid Content-Length')
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
    this.canStay = isVersion1_1 ? !hasOption(connection, 'close') : hasOption(connection, 'keep-alive')
    this.beginContent(status, length, isChunked)
    this.sink.onHead(status, reason, headers)
    if (this.state === 'length' && this.left === 0) this.finish()
  }

  /** RFC 9112 section 6.3. */
  private beginContent(status: number, length: string | undefined, isChunked: boolean): void {
    this.left = 0
    if (this.isHead || status === 204 || status === 304) this.state = 'length'
    else if (isChunked) this.state = 'chunkSize'
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
    const end = this.lineEnd(chunk, at, MAX_CHUNK_LINE_BYTES)
    if (end < 0) return -1
    const [, digits] = CHUNK_LINE.exec(chunk.toString('latin1', at, end)) ?? []
    if (digits === undefined) throw new ResponseFramingError('an invalid chunk')
    this.left = Number.parseInt(digits, 16)
    this.state = this.left === 0 ? 'trailers' : 'chunk'
    return end + 2
  }

  private readChunkEnd(chunk: Buffer, at: number): number {
    if (chunk.length - at < 2) return -1
    if (chunk.toString('latin1', at, at + 2) !== '\r\n') throw new ResponseFramingError('a chunk longer than it says')
    this.state = 'chunkSize'
    return at + 2
  }

  /** Trailers are checked and dropped: nobody downstream asked for them (RFC 9110 section 6.5.1). */
  private readTrailers(chunk: Buffer, at: number): number {
    if (chunk.toString('latin1', at, at + 2) === '\r\n') {
      this.finish()
      return at + 2
    }
    const end = chunk.indexOf(HEAD_END, at)
    if ((end < 0 ? chunk.length : end) - at > this.maxHeadBytes) throw new ResponseFramingError(`trailers of more than ${this.maxHeadBytes} bytes`)
    if (end < 0) return -1
    if (!TRAILERS.test(chunk.toString('latin1', at, end))) throw new ResponseFramingError('invalid trailers')
    this.finish()
    return end + HEAD_END.length
  }

  private lineEnd(chunk: Buffer, at: number, maxBytes: number): number {
    const end = chunk.indexOf('\r\n', at, 'latin1')
    if ((end < 0 ? chunk.length : end) - at > maxBytes) throw new ResponseFramingError('a chunk size without end')
    return end
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
