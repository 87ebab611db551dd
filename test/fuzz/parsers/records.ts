import assert from 'node:assert/strict'
import { SessionCorruptError } from '../../../src/errors.ts'
import { createPlainCodec, createSealedCodec } from '../../../src/session/codec.ts'
import { unlessRefused, type FuzzedParser } from '../parser.ts'

const plain = createPlainCodec()
const sealed = createSealedCodec([{ id: 'r1', bytes: Buffer.alloc(32, 7) }])
const live = '\x01{"h":"h","c":1,"i":2,"a":3,"p":true,"d":{"x":1}}'

/** Whatever a store gives back is a record or SessionCorruptError. */
export const parser: FuzzedParser = {
  seeds: [
    live, '\x01{"w":true,"h":"h","c":1,"i":2,"a":3,"p":false,"e":4,"d":{},"j":{"k":1}}', '\x01{"m":"abc"}', '\x01{"g":true}', '\x01{"e":1,"r":false,"s":[["h","k",1,2]]}', '\x01[]', '\x02', '', '\x03{}',
    sealed.encode('key', { kind: 'gone' }),
  ],
  words: ['\x01', '\x02\x02r1', '"h":"', '"c":', '"i":', '"a":', '"p":true', '"d":{}', '"j":{}', '"e":', '"r":', '"s":[', '"m":"', '"g":true', '"w":true', '{', '}', 'null', '1e999', '-0', '"__proto__":'],
  check(input) {
    for (const codec of [plain, sealed]) {
      const envelope = unlessRefused((error) => error instanceof SessionCorruptError, () => codec.decode('key', input))
      if (envelope) assert.ok(codec.encode('key', envelope).length > 0)
    }
  },
}
