import type { Duplex } from 'node:stream'
import type { Deadlines, Watched } from './deadlines.ts'
import { closeFrame, FrameTracker, GOING_AWAY } from './frames.ts'

export interface RelayOptions {
  /** Closed after this long without a byte in either direction, ms. 0: never. */
  readonly idleMs: number
  /** Closed at this age, ms. 0: never. */
  readonly maxAgeMs: number
}

/** Two connections joined into one. */
export interface Relay {
  /** Ends both sides, the client's with a close frame where one fits between two frames of the upstream. */
  close(code: number, reason: string): void
}

/** How long a side may take to read what is on its way to it once the other side has ended. */
const LINGER_MS = 500

/** Copies opaque bytes both ways with back-pressure until either side ends; then both are gone within LINGER_MS. */
export function relay(client: Duplex, upstream: Duplex, deadlines: Deadlines, options: RelayOptions): Relay {
  return new JoinedPair(client, upstream, deadlines, options)
}

class JoinedPair implements Relay, Watched {
  deadlineAt: number
  slot: number | undefined
  private readonly toClient = new FrameTracker()
  private readonly endsAt: number
  private lastByteAt = performance.now()
  /** We have ended it: nothing more is copied. */
  private isOver = false
  private lingering: NodeJS.Timeout | undefined

  constructor(
    private readonly client: Duplex,
    private readonly upstream: Duplex,
    private readonly deadlines: Deadlines,
    private readonly options: RelayOptions,
  ) {
    const { maxAgeMs } = options
    this.endsAt = maxAgeMs > 0 ? this.lastByteAt + maxAgeMs : Infinity
    this.deadlineAt = this.nextDeadline()
    for (const side of [client, upstream]) {
      side.on('error', ignore)
      side.on('close', () => this.destroy())
    }
    this.copy(client, upstream, undefined)
    this.copy(upstream, client, this.toClient)
    deadlines.watch(this)
    if (client.destroyed || upstream.destroyed) this.destroy()
  }

  close(code: number, reason: string): void {
    if (this.isOver) return
    this.isOver = true
    if (this.toClient.isAtBoundary) this.client.write(closeFrame(code, reason))
    for (const side of [this.client, this.upstream]) {
      side.end()
      side.resume()
    }
    this.linger()
  }

  onDeadline(): void {
    this.deadlineAt = this.nextDeadline()
    const now = performance.now()
    if (now >= this.endsAt) this.close(GOING_AWAY, 'maximum age reached')
    else if (now >= this.deadlineAt) this.close(GOING_AWAY, 'idle')
  }

  /** A byte moves `lastByteAt` alone: what follows from it is worked out when the deadline seems to have passed. */
  private nextDeadline(): number {
    const { idleMs } = this.options
    return Math.min(this.endsAt, idleMs > 0 ? this.lastByteAt + idleMs : Infinity)
  }

  private copy(from: Duplex, to: Duplex, frames: FrameTracker | undefined): void {
    from.on('data', (chunk: Buffer) => {
      if (this.isOver) return
      this.lastByteAt = performance.now()
      frames?.push(chunk)
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => {
      to.end()
      this.linger()
    })
  }

  /** Whoever has not ended by itself in a moment is cut. */
  private linger(): void {
    this.deadlines.unwatch(this)
    this.lingering ??= setTimeout(() => this.destroy(), LINGER_MS).unref()
  }

  private destroy(): void {
    this.deadlines.unwatch(this)
    clearTimeout(this.lingering)
    this.client.destroy()
    this.upstream.destroy()
  }
}

function ignore(): void {
  // 'close' follows and says all there is to say.
}
