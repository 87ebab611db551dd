import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

/** What a request body may be like. */
export interface UploadLimits {
  readonly maxBytes: number
  /** Bytes per second it must average once RATE_GRACE_MS of waiting for the client have passed; 0: no limit. */
  readonly minRate: number
}

/** Who is told how the body comes along. */
export interface UploadWatcher {
  onUploadMoved(): void
  /** The upstream takes no more for now: waiting is its fault, not the client's. */
  onUploadBlocked(): void
  onUploadTooLarge(): void
  onUploadTooSlow(): void
}

const RATE_GRACE_MS = 10_000
const LINGER_MS = 5_000

/**
 * A request body on its way to the upstream, with back-pressure. It is a stream of its own because it may be given
 * up at any time, and the client's connection must survive that: the answer goes out on it.
 */
export class Upload extends Readable {
  private receivedBytes = 0
  private isBlocked = false
  private clientMs = 0
  private waitingSince = performance.now()

  constructor(private readonly source: IncomingMessage, private readonly limits: UploadLimits, private readonly watcher: UploadWatcher) {
    super()
    source.on('data', this.onData)
    source.on('end', this.onEnd)
  }

  override _read(): void {
    if (!this.isBlocked) return
    this.isBlocked = false
    this.waitingSince = performance.now()
    this.source.resume()
    this.watcher.onUploadMoved()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.source.off('data', this.onData)
    this.source.off('end', this.onEnd)
    done(error)
  }

  private readonly onData = (chunk: Buffer): void => {
    this.receivedBytes += chunk.length
    if (this.receivedBytes > this.limits.maxBytes) return this.watcher.onUploadTooLarge()
    if (this.limits.minRate > 0 && this.isTooSlow()) return this.watcher.onUploadTooSlow()
    if (this.push(chunk)) return this.watcher.onUploadMoved()
    this.isBlocked = true
    this.source.pause()
    this.watcher.onUploadBlocked()
  }

  private readonly onEnd = (): void => void this.push(null)

  private isTooSlow(): boolean {
    const now = performance.now()
    this.clientMs += now - this.waitingSince
    this.waitingSince = now
    return this.clientMs > RATE_GRACE_MS && this.receivedBytes * 1_000 < this.limits.minRate * this.clientMs
  }
}

/**
 * Reads and throws away what the client still sends of a body nobody wants, until a moment after the answer: a client that is cut
 * off while it sends cannot read the answer (RFC 9112 section 9.6).
 */
export function discardRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return
  request.resume()
  response.once('finish', () => {
    const timer = setTimeout(() => request.destroy(), LINGER_MS).unref()
    request.once('close', () => clearTimeout(timer))
  })
}
