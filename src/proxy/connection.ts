import { Socket } from 'node:net'

/** The upstream ended a connection under an exchange. */
export class ConnectionLostError extends Error {
  readonly code = 'ERR_UPSTREAM_CONNECTION_LOST'

  /** @param wasStale it had served before and nothing of an answer came: the server had given it up meanwhile (RFC 9112 section 9.3.1). */
  constructor(how: 'closed' | 'reset', readonly wasStale: boolean, cause?: unknown) {
    super(`the connection was ${how}`, { cause })
  }
}

type Emit = (event: string | symbol, ...args: unknown[]) => boolean
type Read = (size?: number) => Buffer | null
type Write = (chunk: string | Uint8Array, encoding?: BufferEncoding, callback?: (error?: Error | null) => void) => boolean
type Phase = 'idle' | 'asked' | 'interim' | 'answering'

const CARRIAGE_RETURN = 13
const ONE = 49
/** Of the first digit of the status in `HTTP/1.1 200`. */
const STATUS_AT = 9
const END_OF_HEAD = Buffer.from('\r\n\r\n')
const MAX_HEAD_BYTES = 65_536
const MAX_CONTINUES = 32
const NOTHING = Buffer.alloc(0)
const LOST: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * Puts right what undici reads wrongly from a connection of its own (one request at a time on it):
 *
 * - A `100 Continue` nobody asked for is ignored (RFC 9110 section 15.2); undici would give up the exchange.
 * - A reset is told from a close, so that a close-delimited body that was cut never passes for complete (RFC 9112 section 8).
 *   undici takes ECONNRESET for the end of such a body, and libuv reports a reset that comes together with the last bytes as an
 *   orderly end; an empty write then tells the truth: it fails after a reset. (Plain TCP only: elsewhere it means something else.)
 * - A loss before any answer says whether the connection had served before: only then may a request be sent again.
 */
export function correctConnection(socket: Socket): void {
  const emit = socket.emit.bind(socket) as Emit
  const read = socket.read.bind(socket) as Read
  const write = socket.write.bind(socket) as Write
  const isPlainTcp = socket.constructor === Socket && socket.remoteAddress !== undefined
  let phase: Phase = 'idle'
  let requests = 0
  let continues = 0
  let held: Buffer = NOTHING

  function lost(how: 'closed' | 'reset', cause?: unknown): ConnectionLostError {
    return new ConnectionLostError(how, phase === 'asked' && requests > 1, cause)
  }

  /** undici writes a request head as text, in one piece or followed by chunk framing, which begins with CR; bodies are bytes. */
  function watchedWrite(chunk: string | Uint8Array, encoding?: BufferEncoding, callback?: () => void): boolean {
    if (typeof chunk === 'string' && chunk.charCodeAt(0) !== CARRIAGE_RETURN) {
      phase = 'asked'
      requests++
      continues = 0
    }
    return write(chunk, encoding, callback)
  }

  function watchedRead(size?: number): Buffer | null {
    const chunk = read(size)
    if (chunk === null || phase === 'answering' || phase === 'idle') return chunk
    if (phase === 'asked' && chunk.length > STATUS_AT && chunk[STATUS_AT] !== ONE) {
      phase = 'answering'
      return chunk
    }
    phase = 'interim'
    return withoutContinue(held.length > 0 ? Buffer.concat([held, chunk]) : chunk)
  }

  /** Between a request and its final head: drops each 100, passes other interim heads whole, holds what is not whole yet. */
  function withoutContinue(bytes: Buffer): Buffer | null {
    const passed: Buffer[] = []
    let rest = bytes
    while (rest.length > STATUS_AT && rest[STATUS_AT] === ONE) {
      const end = rest.indexOf(END_OF_HEAD)
      if (end < 0) break
      const head = rest.subarray(0, end + END_OF_HEAD.length)
      if (/^HTTP\/1\.\d 100(?: |\r)/.test(head.toString('latin1', 0, STATUS_AT + 4))) continues++
      else passed.push(head)
      rest = rest.subarray(head.length)
    }
    if (continues > MAX_CONTINUES) socket.destroy(new Error(`more than ${MAX_CONTINUES} interim responses`))
    const isUndecided = rest.length <= STATUS_AT || (rest[STATUS_AT] === ONE && rest.length < MAX_HEAD_BYTES)
    held = isUndecided ? rest : NOTHING
    if (!isUndecided) {
      phase = 'answering'
      passed.push(rest)
    }
    return passed.length > 0 ? Buffer.concat(passed) : null
  }

  function watchedEmit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'error') return emit('error', isLoss(args[0]) ? lost('reset', args[0]) : args[0])
    if (event !== 'end') return emit(event, ...args)
    if (!isPlainTcp || !socket.writable) return ended()
    return write(NOTHING, undefined, (error) => {
      if (!error) ended()
    })
  }

  function ended(): boolean {
    if (phase === 'idle' || phase === 'answering') return emit('end')
    socket.destroy(lost('closed'))
    return true
  }

  Object.assign(socket, { emit: watchedEmit, read: watchedRead, write: watchedWrite })
}

function isLoss(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && LOST.has(error.code)
}
