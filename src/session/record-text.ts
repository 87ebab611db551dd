import { isUtf8 } from 'node:buffer'

let lastBytes: Uint8Array | undefined
let lastText = ''

/** UTF-8, as Buffer.from; the text is kept for a store that sends text. Only the last is: a record is encoded and then stored. */
export function recordBytesOf(text: string): Buffer {
  const bytes = Buffer.from(text)
  lastBytes = bytes
  lastText = text
  return bytes
}

/** The text whose UTF-8 these bytes are; undefined where they are none. */
export function recordTextOf(bytes: Uint8Array): string | undefined {
  if (bytes === lastBytes) return lastText
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') : undefined
}
