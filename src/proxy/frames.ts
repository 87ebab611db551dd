/**
 * Follows one direction of a WebSocket by the lengths of its frames alone (RFC 6455 section 5.2), so that a frame of our own can be
 * put between two of theirs. Never looks at a payload; holds at most one frame header (14 bytes).
 */
export class FrameTracker {
  private readonly header: number[] = []
  private payloadLeft = 0

  /** Whether the next byte begins a frame. */
  get isAtBoundary(): boolean {
    return this.payloadLeft === 0 && this.header.length === 0
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.payloadLeft > 0) {
        const taken = Math.min(this.payloadLeft, bytes.length - at)
        this.payloadLeft -= taken
        at += taken
        continue
      }
      this.header.push(bytes[at++] as number)
      if (this.header.length < headerLengthOf(this.header)) continue
      this.payloadLeft = payloadLengthOf(this.header)
      this.header.length = 0
    }
  }
}

const MASKED = 0x80
const LENGTH = 0x7f
const LENGTH_IN_2_BYTES = 126
const LENGTH_IN_8_BYTES = 127

/** What is known of the length from what there is of the header. */
function headerLengthOf([, second]: readonly number[]): number {
  if (second === undefined) return 2
  const length = second & LENGTH
  return 2 + (length === LENGTH_IN_8_BYTES ? 8 : length === LENGTH_IN_2_BYTES ? 2 : 0) + (second & MASKED ? 4 : 0)
}

function payloadLengthOf(header: readonly number[]): number {
  const length = (header[1] as number) & LENGTH
  if (length < LENGTH_IN_2_BYTES) return length
  return header.slice(2, length === LENGTH_IN_8_BYTES ? 10 : 4).reduce((sum, byte) => sum * 256 + byte, 0)
}

/** Why we end a WebSocket (RFC 6455 section 7.4.1). */
export const GOING_AWAY = 1001
export const POLICY_VIOLATION = 1008

/** A close frame as a server sends it. `reason` is ASCII, at most 123 characters. */
export function closeFrame(code: number, reason: string): Buffer {
  const frame = Buffer.alloc(4 + reason.length)
  frame[0] = 0x88
  frame[1] = 2 + reason.length
  frame.writeUInt16BE(code, 2)
  frame.write(reason, 4, 'latin1')
  return frame
}
