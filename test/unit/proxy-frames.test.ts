import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ws from 'ws'
import { closeFrame, FrameTracker } from '../../src/proxy/frames.ts'

/** An independent implementation's framing; its types leave these out. */
const { Receiver, Sender } = ws as unknown as {
  readonly Receiver: new (options: { isServer: boolean }) => NodeJS.WritableStream
  readonly Sender: { frame(payload: Buffer, options: object): Buffer[] }
}

interface Frame {
  readonly opcode: number
  readonly fin: boolean
  readonly payload: Uint8Array
  readonly mask: boolean
}

function encode({ opcode, fin, payload, mask }: Frame): Buffer {
  return Buffer.concat(Sender.frame(Buffer.from(payload), {
    opcode, fin, mask, readOnly: false, rsv1: false, maskBuffer: Buffer.alloc(4), generateMask: () => undefined,
  }))
}

const size = fc.oneof(fc.nat(20), fc.constantFrom(124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537))
const frame = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 8, 9, 10), fin: fc.boolean(), mask: fc.boolean(), payload: size.map((length) => new Uint8Array(length).fill(0x88)),
})

test('the boundaries of frames are found, however the bytes are cut', () => {
  fc.assert(fc.property(fc.array(frame, { minLength: 1, maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 20 }), (frames, cuts) => {
    const encoded = frames.map(encode)
    const ends = new Set([0, ...encoded.map((_, n) => encoded.slice(0, n + 1).reduce((sum, { length }) => sum + length, 0))])
    const all = Buffer.concat(encoded)
    const tracker = new FrameTracker()
    for (let at = 0, n = 0; at < all.length; n++) {
      const next = Math.min(all.length, at + (cuts[n % cuts.length] as number))
      tracker.push(all.subarray(at, next))
      at = next
      expect(tracker.isAtBoundary).toBe(ends.has(at))
    }
    expect(tracker.isAtBoundary).toBe(true)
  }), { numRuns: 200 })
})

test('byte by byte, and with a length nobody can send', () => {
  const tracker = new FrameTracker()
  for (const byte of encode({ opcode: 1, fin: true, payload: new Uint8Array(300), mask: true }).subarray(0, -1)) {
    tracker.push(Buffer.from([byte]))
    expect(tracker.isAtBoundary).toBe(false)
  }
  tracker.push(Buffer.from([0]))
  expect(tracker.isAtBoundary).toBe(true)
  tracker.push(Buffer.from([0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
  tracker.push(Buffer.alloc(100_000))
  expect(tracker.isAtBoundary).toBe(false)
})

test('any bytes at all are followed without a throw', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 50 }), (chunks) => {
    const tracker = new FrameTracker()
    for (const chunk of chunks) tracker.push(chunk)
  }))
})

test('our close frame is one to a client', async () => {
  const receiver = new Receiver({ isServer: false })
  const concluded = new Promise<[number, Buffer]>((resolve) => { receiver.on('conclude', (code: number, reason: Buffer) => resolve([code, reason])) })
  receiver.write(closeFrame(1008, 'session ended'))
  const [code, reason] = await concluded
  expect([code, reason.toString()]).toEqual([1008, 'session ended'])
})
