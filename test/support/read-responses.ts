import { ResponseFramingError, ResponseReader } from '../../src/proxy/response-reader.ts'

/** What a reader told its sink of one response, the pieces of its content joined. */
export interface ReadResponse {
  readonly interims: readonly { readonly status: number; readonly headers: readonly string[] }[]
  readonly status: number | undefined
  readonly reason: string | undefined
  readonly headers: readonly string[] | undefined
  /** latin1 */
  readonly body: string
  /** `open` and `over`: the whole of it came, and the connection may be used again, or not. */
  readonly ending: 'open' | 'over' | 'incomplete' | 'refused'
  /** Why, when refused. */
  readonly error: string | undefined
}

export interface ReadOptions {
  readonly method?: string
  readonly maxHeadBytes?: number
  /** Whether the server ends the connection after the last piece; default true. */
  readonly isEnded?: boolean
}

/** Reads `pieces`, one push each, as the answer to one request. Bytes behind it count as a refusal. Any other error is thrown. */
export function readResponse(pieces: readonly Buffer[], { method = 'GET', maxHeadBytes = 65_536, isEnded = true }: ReadOptions = {}): ReadResponse {
  const interims: { status: number; headers: readonly string[] }[] = []
  let head: { status: number; reason: string; headers: readonly string[] } | undefined
  // Kept as they came: who reads on must not overwrite what was handed out.
  const body: Buffer[] = []
  let isOver = false
  let error: string | undefined
  const reader = new ResponseReader({
    onInterim: (status, headers) => void interims.push({ status, headers }),
    onHead(status, reason, headers) {
      if (head) throw new Error('a second head')
      head = { status, reason, headers }
    },
    onBody(piece) {
      if (!head || isOver || piece.length === 0) throw new Error('content out of place')
      body.push(piece)
    },
    onEnd() {
      if (!head || isOver) throw new Error('an end out of place')
      isOver = true
    },
  }, maxHeadBytes)
  reader.expect(method)
  try {
    for (const piece of pieces) reader.push(piece)
    if (isEnded) reader.end()
  } catch (thrown) {
    if (!(thrown instanceof ResponseFramingError)) throw thrown
    error = thrown.message
  }
  const ended = (): ReadResponse['ending'] => isOver ? reader.canStay ? 'open' : 'over' : 'incomplete'
  return { interims, ...(head ?? { status: undefined, reason: undefined, headers: undefined }), body: Buffer.concat(body).toString('latin1'), ending: error === undefined ? ended() : 'refused', error }
}

/** `bytes` cut at `places`, which may be out of order and out of range. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set([0, ...places.filter((place) => place < bytes.length), bytes.length])].sort((a, b) => a - b)
  return cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end))
}
