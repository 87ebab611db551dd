import { Unreadable } from './pickle-nodes.ts'
import { decodeUtf8 } from './url-safe-body.ts'

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[^])/g

/** UTF-8 in which lone surrogates may be written as three bytes: Python's `surrogatepass`. */
export function decodeSurrogatePass(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes)
  return text === undefined ? decodeAroundSurrogates(bytes) : text
}

function decodeAroundSurrogates(bytes: Uint8Array): string {
  let text = ''
  let start = 0
  const flush = (end: number) => {
    const part = decodeUtf8(bytes.subarray(start, end))
    if (part === undefined) throw new Unreadable('a text is not UTF-8')
    text += part
  }
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const [second = 0, third = 0] = bytes.subarray(at + 1, at + 3)
    if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue
    flush(at)
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f))
    start = at + 3
  }
  flush(bytes.length)
  return text
}

/** A line of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`, Python's raw-unicode-escape. */
export function decodeRawUnicodeEscape(line: string): string {
  return line.replace(ESCAPE, (whole: string, unit: string | undefined, point: string | undefined) => {
    const code = Number.parseInt(unit ?? point ?? '', 16)
    if (Number.isNaN(code) && !whole.startsWith('\\u') && !whole.startsWith('\\U')) return whole
    if (Number.isNaN(code) || code > 0x10ffff) throw new Unreadable('a text has a broken escape')
    return String.fromCodePoint(code)
  })
}
