import { deflateSync, inflateSync } from 'node:zlib'
import { decodeBase64Url, encodeBase64Url } from './python-base64.ts'

/** 512 KiB: such a payload fits in a cookie of 758 bytes. */
export const MAX_PAYLOAD_BYTES = 512 * 1024

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * JSON text as itsdangerous' URLSafeSerializer carries it: base64, or `.` and base64 of zlib when that is shorter by two bytes at
 * least. Payloads under `compressFromBytes` are not tried. Node's zlib output is not Python's byte for byte; both read both.
 */
export function encodeBody(payloadText: string, compressFromBytes = 0): string {
  const bytes = Buffer.from(payloadText, 'utf8')
  if (bytes.length < compressFromBytes) return encodeBase64Url(bytes)
  const compressed = deflateSync(bytes)
  return compressed.length < bytes.length - 1 ? `.${encodeBase64Url(compressed)}` : encodeBase64Url(bytes)
}

/** The text in `body`, or undefined when it is not base64, not zlib, not UTF-8, or more than `maxBytes` when inflated. */
export function decodeBody(body: string, maxBytes = MAX_PAYLOAD_BYTES): string | undefined {
  const isCompressed = body.startsWith('.')
  const bytes = decodeBase64Url(isCompressed ? body.slice(1) : body)
  const plain = bytes && isCompressed ? inflate(bytes, maxBytes) : bytes
  return plain && plain.length <= maxBytes ? decodeUtf8(plain) : undefined
}

function inflate(bytes: Uint8Array, maxOutputLength: number): Uint8Array | undefined {
  try {
    return inflateSync(bytes, { maxOutputLength })
  } catch {
    return undefined     // not zlib, cut short, or too large: all the same to the caller
  }
}

/** Strict UTF-8, as Python's; a byte order mark is a character like any other. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
