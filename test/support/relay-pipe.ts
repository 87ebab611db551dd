import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endingOf } from './socket-reader.ts'

/** What goes wrong in one direction. Absent members do no harm. */
export interface Toxics {
  /** Every byte arrives so much later; order is kept. */
  readonly latencyMs?: number | undefined
  /** Up to so much more, at random. */
  readonly jitterMs?: number | undefined
  readonly bytesPerSecond?: number | undefined
  /** Written in pieces of this size, each on its own. */
  readonly sliceBytes?: number | undefined
  /** Bytes and ends are swallowed: sent, and never seen again. */
  readonly blackHole?: boolean | undefined
  /** Bytes and ends are held back, and delivered when this is switched off. */
  readonly hold?: boolean | undefined
  /** RST on both sides when exactly so many more bytes have passed; counted per connection. */
  readonly resetAfterBytes?: number | undefined
}

const HIGH_WATER_BYTES = 1024 * 1024

interface Parcel {
  readonly bytes: Buffer
  readonly arrivedAt: number
}

/** One direction of one connection: takes from `source`, does what the toxics say, gives to `sink`. */
export class RelayPipe {
  /** A black hole has eaten bytes, so the stream can never be right again. */
  hasLost = false
  #toxics: Toxics = {}
  #budget = Infinity
  #queue: Parcel[] = []
  #queuedBytes = 0
  #lastDueAt = 0
  #ending: 'fin' | 'reset' | 'local' | undefined
  #endedAt = 0
  #wake: (() => void) | undefined

  constructor(private readonly source: Socket, private readonly sink: Socket, private readonly reset: () => void) {
    source.on('data', (bytes: Buffer) => { this.#enqueue(bytes) })
    void endingOf(source).then((ending) => {
      this.#ending = ending
      this.#endedAt = performance.now()
      this.#wake?.()
    })
    sink.once('close', () => this.#wake?.())
    void this.#run()
  }

  set(toxics: Toxics): void {
    if (toxics.resetAfterBytes !== this.#toxics.resetAfterBytes) this.#budget = toxics.resetAfterBytes ?? Infinity
    this.#toxics = toxics
    if (this.#budget <= 0) this.reset()
    this.#wake?.()
  }

  /** FIN to the sink, now. */
  finish(): void { this.sink.end() }

  #enqueue(bytes: Buffer): void {
    this.#queue.push({ bytes, arrivedAt: performance.now() })
    this.#queuedBytes += bytes.length
    if (this.#queuedBytes > HIGH_WATER_BYTES) this.source.pause()
    this.#wake?.()
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#until(() => this.sink.destroyed || (!this.#toxics.hold && (this.#queue.length > 0 || this.#ending !== undefined)))
      if (this.sink.destroyed) break
      const parcel = this.#queue.shift()
      if (parcel === undefined) break
      this.#queuedBytes -= parcel.bytes.length
      if (this.#queuedBytes <= HIGH_WATER_BYTES) this.source.resume()
      await this.#deliver(parcel)
    }
    await this.#end()
  }

  async #deliver({ bytes, arrivedAt }: Parcel): Promise<void> {
    await this.#untilDue(arrivedAt)
    await this.#until(() => this.sink.destroyed || !this.#toxics.hold)
    const { sliceBytes, bytesPerSecond } = this.#toxics
    const pieceBytes = Math.max(1, Math.min(sliceBytes ?? Infinity, bytesPerSecond === undefined ? Infinity : bytesPerSecond / 50))
    for (let at = 0; at < bytes.length && !this.sink.destroyed;) {
      if (this.#toxics.blackHole) {
        this.hasLost = true
        return
      }
      const piece = bytes.subarray(at, at + Math.min(Math.floor(pieceBytes), this.#budget))
      at += piece.length
      await this.#write(piece)
      this.#budget -= piece.length
      if (this.#budget <= 0) return this.reset()
      if (bytesPerSecond !== undefined) await sleep(piece.length / bytesPerSecond * 1_000)
      else if (sliceBytes !== undefined) await new Promise(setImmediate)
    }
  }

  /** Passes on how the source ended: FIN as FIN, a reset (or our own cut) as a reset. */
  async #end(): Promise<void> {
    if (this.sink.destroyed) return this.#ending === undefined ? this.#endSource() : undefined
    await this.#untilDue(this.#endedAt)
    if (this.#toxics.blackHole) {
      this.hasLost = true
      return
    }
    if (this.#ending === 'fin') this.sink.end()
    else this.reset()
  }

  /** The sink is gone, so nobody reads the source any more: as a kernel does, answer what it sends with a reset. */
  #endSource(): void {
    if (!this.source.destroyed) this.reset()
  }

  async #untilDue(arrivedAt: number): Promise<void> {
    const { latencyMs = 0, jitterMs = 0 } = this.#toxics
    this.#lastDueAt = Math.max(this.#lastDueAt, arrivedAt + latencyMs + Math.random() * jitterMs)
    const waitMs = this.#lastDueAt - performance.now()
    if (waitMs > 0) await sleep(waitMs)
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.sink.writable) this.sink.write(bytes, () => resolve())
      else resolve()
    })
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => { this.#wake = resolve })
  }
}
