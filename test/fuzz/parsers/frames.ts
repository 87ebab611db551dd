import assert from 'node:assert/strict'
import { closeFrame, FrameTracker } from '../../../src/proxy/frames.ts'
import type { FuzzedParser } from '../parser.ts'

/** Where frames begin does not depend on how the bytes were cut; a frame of ours between two of theirs is seen as one. */
export const parser: FuzzedParser = {
  seeds: [closeFrame(1001, 'bye'), Uint8Array.of(0x81, 0x05, 1, 2, 3, 4, 5), Uint8Array.of(0x82, 0x7e, 0, 3, 1, 2, 3), Uint8Array.of(0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 9), Uint8Array.of(0x81, 0x82, 1, 2, 3, 4, 9, 9), Uint8Array.of(0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4)],
  words: ['\x81\x00', '\x81\x7e\x00\x01', '\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x02', '\x82\x80abcd', '\x88\x02\x03\xe8', '\xff', '\x00'],
  check(input) {
    const whole = new FrameTracker()
    whole.push(input)
    const cut = new FrameTracker()
    for (const byte of input) cut.push(Uint8Array.of(byte))
    assert.equal(cut.isAtBoundary, whole.isAtBoundary)
    if (!whole.isAtBoundary) return
    whole.push(closeFrame(1008, 'over'))
    assert.ok(whole.isAtBoundary)
  },
}
