import { Unreadable } from './pickle-nodes.ts'

/** Takes bytes from the front; throws Unreadable when there are too few, before anything is allocated for them. */
export class ByteReader {
  private at = 0
  private readonly bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.bytes.length - this.at
  }

  take(length: number): Buffer {
    if (length > this.remaining) throw new Unreadable('it ends too early')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  byte(): number {
    return this.take(1)[0] as number
  }

  /** Latin-1 text up to a line feed, which is taken too. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end < 0) throw new Unreadable('it ends too early')
    const text = this.take(end - this.at).toString('latin1')
    this.at++
    return text
  }
}
