import { readPickle } from '../../../src/adapters/flask/pickle.ts'
import type { FuzzedParser } from '../parser.ts'
import { assertWritable } from '../python-records.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** Nothing is executed, nothing is thrown; a dict that was read can be written, or is refused in words. */
export const parser: FuzzedParser = {
  seeds: [
    bytes('\x80\x04}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94(K\x02\x88Neu.'), bytes('(dp0\nVa\np1\nI1\ns.'), bytes('\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x8c\x01k\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00s.'),
    bytes('\x80\x04\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\x0a\x07\xe8\x05\x06\x07\x08\x09\x00\x00\x00\x94\x85\x94R\x94.'), bytes('\x80\x04\x8c\x04uuid\x94\x8c\x04UUID\x94\x93\x94)\x81\x94}\x94\x8c\x03int\x94\x8a\x01\x07sb.'),
    bytes('\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.'), bytes('(lp0\nI01\naF1.5\naS\'x\'\na(tp1\na.'), bytes('\x80\x04\x8f\x94(K\x01K\x02\x90.'), bytes('\x80\x04G?\xf8\x00\x00\x00\x00\x00\x00.'), bytes('(cdatetime\ntimedelta\n(I1\nI2\nI3\ntR.'),
  ],
  words: ['\x80\x04', '}\x94', '(', 'u.', 's.', ']\x94', 'e.', '\x8c\x01', 'K\x01', '\x8a\x01', '\x88', '\x89', 'N', '\x93\x94', '\x85\x94R\x94', '\x86', '\x87', '\x8f', '\x90', '\x94', 'h\x00', 'cdatetime\ndatetime\n', '\x8c\x08datetime', '\x8c\x09timedelta', '\x8c\x04uuid\x8c\x04UUID', 'markupsafe\nMarkup\n', 'I1\n', 'F1e9\n', 'V\\u00e9\n', 'L9L\n', 'C\x02', 'B\xff\xff\xff\x7f', '\x8d', '\x8e', 'p0\n', 'g0\n', '0', '1', '.'],
  check(input) {
    for (const isProtocol2and3 of [false, true]) {
      const read = readPickle(input, { isProtocol2and3 })
      if (read.ok) assertWritable(read.value)
      else if (read.reason === '') throw new Error('refused without a reason')
    }
  },
}
