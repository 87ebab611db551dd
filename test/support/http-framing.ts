import type { SocketReader } from './socket-reader.ts'

/** Field lines as they were on the wire: order, case and duplicates kept, optional white space around values removed. */
export type HeaderList = ReadonlyArray<readonly [name: string, value: string]>

/** The peer's bytes are not HTTP/1.1 as RFC 9112 writes it. */
export class FramingError extends Error {}

export interface MessageHead {
  readonly startLine: string
  readonly headers: HeaderList
  /** The head as latin1 text, the empty line included. */
  readonly raw: string
  /** Set when a field line is none; `headers` then holds the lines before it. */
  readonly broken?: FramingError
}

export interface MessageBody {
  readonly body: Buffer
  readonly trailers: HeaderList
  /** True when the peer ended before the framing said so; `body` then holds what came. */
  readonly truncated: boolean
}

export type Framing = { readonly kind: 'none' | 'chunked' | 'close' } | { readonly kind: 'length'; readonly bytes: number }

/** The next head, or undefined when the peer ended before a whole one came. Empty lines before it are skipped. */
export async function readHead(reader: SocketReader): Promise<MessageHead | undefined> {
  const bytes = await reader.readThrough('\r\n\r\n')
  if (bytes === undefined) return undefined
  const raw = bytes.toString('latin1')
  const [startLine = '', ...lines] = raw.slice(0, -4).replace(/^(\r\n)+/, '').split('\r\n')
  const headers: Array<readonly [string, string]> = []
  try {
    for (const line of lines) headers.push(parseFieldLine(line))
    return { startLine, headers, raw }
  } catch (error) {
    return { startLine, headers, raw, broken: error as FramingError }
  }
}

/** One body, by its framing. Rejects with FramingError on bad chunk syntax (RFC 9112 section 7.1). */
export async function readBody(reader: SocketReader, framing: Framing): Promise<MessageBody> {
  switch (framing.kind) {
    case 'none': return { body: Buffer.alloc(0), trailers: [], truncated: false }
    case 'chunked': return await readChunked(reader)
    case 'length': {
      const body = await reader.readExactly(framing.bytes)
      return { body, trailers: [], truncated: body.length < framing.bytes }
    }
    case 'close': {
      const body = await reader.readToEnd()
      return { body, trailers: [], truncated: reader.ending !== 'fin' }
    }
  }
}

/** RFC 9112 section 6.3 for a request. */
export function requestFraming(headers: HeaderList): Framing {
  return declaredFraming(headers) ?? { kind: 'none' }
}

/** RFC 9112 section 6.3 for a response to `method`. */
export function responseFraming(status: number, headers: HeaderList, method: string): Framing {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' }
  if (method === 'CONNECT' && status < 300) return { kind: 'none' }
  return declaredFraming(headers) ?? { kind: 'close' }
}

/** The values of every field line called `name` (any case), in order. */
export function valuesOf(headers: HeaderList, name: string): string[] {
  return headers.filter(([candidate]) => candidate.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}

/** Lower-cased names to values, duplicates joined by ", ", for matchers such as `toHaveProperty`. */
export function fieldsOf(headers: HeaderList): Record<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    const before = fields.get(key)
    fields.set(key, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(fields)
}

function declaredFraming(headers: HeaderList): Framing | undefined {
  const codings = valuesOf(headers, 'transfer-encoding')
  const lengths = valuesOf(headers, 'content-length')
  if (codings.length > 0 && lengths.length > 0) throw new FramingError('both Transfer-Encoding and Content-Length')
  if (codings.length > 0) {
    if (!/(^|,)[ \t]*chunked$/i.test(codings.join(','))) throw new FramingError(`Transfer-Encoding does not end in chunked: ${codings.join(',')}`)
    return { kind: 'chunked' }
  }
  const [length, ...others] = lengths
  if (length === undefined) return undefined
  if (others.length > 0 || !/^\d{1,15}$/.test(length)) throw new FramingError(`bad Content-Length: ${lengths.join(' and ')}`)
  return { kind: 'length', bytes: Number(length) }
}

async function readChunked(reader: SocketReader): Promise<MessageBody> {
  const chunks: Buffer[] = []
  const ended = (truncated: boolean, trailers: HeaderList = []): MessageBody => ({ body: Buffer.concat(chunks), trailers, truncated })
  for (;;) {
    const line = await readLine(reader)
    if (line === undefined) return ended(true)
    const size = /^([0-9a-fA-F]{1,8})(?:[ \t]*;.*)?$/.exec(line)?.[1]
    if (size === undefined) throw new FramingError(`bad chunk size line: ${JSON.stringify(line)}`)
    const bytes = Number.parseInt(size, 16)
    if (bytes === 0) break
    const chunk = await reader.readExactly(bytes + 2)
    chunks.push(chunk.subarray(0, bytes))
    if (chunk.length < bytes + 2) return ended(true)
    if (chunk.toString('latin1', bytes) !== '\r\n') throw new FramingError('chunk data is not followed by CRLF')
  }
  const trailers: Array<readonly [string, string]> = []
  for (;;) {
    const line = await readLine(reader)
    if (line === undefined) return ended(true, trailers)
    if (line === '') return ended(false, trailers)
    trailers.push(parseFieldLine(line))
  }
}

async function readLine(reader: SocketReader): Promise<string | undefined> {
  return (await reader.readThrough('\r\n'))?.toString('latin1').slice(0, -2)
}

function parseFieldLine(line: string): readonly [string, string] {
  const parsed = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/s.exec(line)
  if (parsed === null) throw new FramingError(`bad field line: ${JSON.stringify(line)}`)
  return [parsed[1] ?? '', parsed[2] ?? '']
}
