import type { Socket } from 'node:net'

/** How a peer's sending side ended: an orderly FIN, a reset (RST), or because this side destroyed the socket. */
export type Ending = 'fin' | 'reset' | 'local'

export interface SocketReaderOptions {
  /** Keep a copy of every byte for `received`; turn off for soaks. Default true. */
  readonly keep?: boolean
}

/**
 * Pulls bytes out of a socket: by count, through a marker, or to the end. Never throws for a socket that ended: a short or
 * absent answer, together with `ending`, says so. A paused socket reports neither bytes nor its end until it is resumed.
 */
export class SocketReader {
  readonly ended: Promise<Ending>
  #ending: Ending | undefined
  #pending: Buffer[] = []
  #pendingBytes = 0
  #history: Buffer[] = []
  #recording: Buffer[] | undefined
  #wake: (() => void) | undefined
  readonly #keep: boolean

  constructor(socket: Socket, options: SocketReaderOptions = {}) {
    this.#keep = options.keep ?? true
    this.ended = endingOf(socket).then((ending) => {
      this.#ending = ending
      this.#wake?.()
      return ending
    })
    socket.on('data', (chunk: Buffer) => this.#push(chunk))
  }

  /** Undefined while the peer may still send. */
  get ending(): Ending | undefined { return this.#ending }

  /** Every byte that ever arrived, untouched (empty when `keep` is off). */
  get received(): Buffer {
    if (this.#history.length > 1) this.#history = [Buffer.concat(this.#history)]
    return this.#history[0] ?? Buffer.alloc(0)
  }

  /** Bytes that arrived and were not read yet. */
  get unread(): Buffer { return this.#joined() }

  /** From now on, collects what is read; the returned function stops and gives the bytes. */
  record(): () => Buffer {
    const recorded: Buffer[] = []
    this.#recording = recorded
    return () => {
      if (this.#recording === recorded) this.#recording = undefined
      return Buffer.concat(recorded)
    }
  }

  /** The bytes up to and including `marker`; undefined (nothing consumed) when the peer ended before it came. */
  async readThrough(marker: string): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.#joined().indexOf(marker, 0, 'latin1')
      if (at >= 0) return this.#take(at + marker.length)
      if (this.#ending !== undefined) return undefined
      await this.#more()
    }
  }

  /** Exactly `count` bytes, or what there was when the peer ended first. */
  async readExactly(count: number): Promise<Buffer> {
    while (this.#pendingBytes < count && this.#ending === undefined) await this.#more()
    return this.#take(count)
  }

  /** At least one byte: whatever is there; empty once the peer has ended. */
  async readSome(): Promise<Buffer> {
    while (this.#pendingBytes === 0 && this.#ending === undefined) await this.#more()
    return this.#take(this.#pendingBytes)
  }

  /** Everything until the peer ends. */
  async readToEnd(): Promise<Buffer> {
    await this.ended
    return this.#take(this.#pendingBytes)
  }

  #push(chunk: Buffer): void {
    if (this.#keep) this.#history.push(chunk)
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#wake?.()
  }

  #more(): Promise<void> {
    return new Promise((resolve) => { this.#wake = resolve })
  }

  #joined(): Buffer {
    if (this.#pending.length !== 1) this.#pending = [Buffer.concat(this.#pending)]
    return this.#pending[0] ?? Buffer.alloc(0)
  }

  #take(count: number): Buffer {
    const all = this.#joined()
    const taken = all.subarray(0, count)
    const rest = all.subarray(taken.length)
    this.#pending = rest.length > 0 ? [rest] : []
    this.#pendingBytes = rest.length
    this.#recording?.push(taken)
    return taken
  }
}

/**
 * How the peer's sending side ends. Node reports a reset that arrives together with the last bytes as an orderly end: libuv,
 * told POLLHUP after a partial read, signals EOF and never reads the error. An empty write makes the kernel hand that error
 * out, so each end on TCP is asked about once more.
 */
export function endingOf(socket: Socket): Promise<Ending> {
  const isAskable = (): boolean => socket.remoteAddress !== undefined && !('encrypted' in socket)
  let canAsk = isAskable()                           // now, because a socket that was reset no longer knows its peer
  socket.once('connect', () => { canAsk = isAskable() })
  return new Promise((resolve) => {
    socket.once('end', () => {
      if (!canAsk || !socket.writable || socket.writableLength > 0) resolve('fin')
      else socket.write(Buffer.alloc(0), (error) => resolve(error ? 'reset' : 'fin'))
    })
    socket.on('error', () => resolve('reset'))
    socket.once('close', () => resolve('local'))
  })
}
