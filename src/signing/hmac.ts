import { hash, type KeyObject } from 'node:crypto'

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c
const USUAL_BYTES = 4_096

/**
 * HMAC-SHA-256 (RFC 2104) under one key, of texts whose characters are bytes, as base64url. Two plain hashes over buffers that are used
 * again: node:crypto's createHmac makes an object for every text, which costs more than the hashing.
 */
export function createHmacSha256(key: KeyObject): (text: string) => string {
  const secret = key.export()
  const block = Buffer.alloc(BLOCK_BYTES)
  block.set(secret.length > BLOCK_BYTES ? hash('sha256', secret, 'buffer') : secret)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)
  outer.set(block.map((byte) => byte ^ OUTER_PAD))
  let inner = innerOf(USUAL_BYTES)

  function innerOf(textBytes: number): Buffer {
    const buffer = Buffer.alloc(BLOCK_BYTES + textBytes)
    buffer.set(block.map((byte) => byte ^ INNER_PAD))
    return buffer
  }

  return (text) => {
    if (BLOCK_BYTES + text.length > inner.length) inner = innerOf(2 * text.length)
    const end = BLOCK_BYTES + inner.write(text, BLOCK_BYTES, 'latin1')
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1')
    return hash('sha256', outer, 'base64url')
  }
}
