import { randomFillSync } from 'node:crypto'
import type { Version } from '../session/session.ts'

const TOKEN_BYTES = 12
const POOLED_TOKENS = 256

const pool = Buffer.allocUnsafeSlow(TOKEN_BYTES * POOLED_TOKENS)
let used = POOLED_TOKENS

/** Characters of a minted version, all of the base64url alphabet. */
export const VERSION_LENGTH = 16

/**
 * A version no writer has used before: 96 random bits, base64url. A write that carries its own new version can be sent
 * twice without harm, since the second arrival finds its own mark.
 */
export function mintVersion(): Version {
  if (used === POOLED_TOKENS) {
    randomFillSync(pool)
    used = 0
  }
  const start = TOKEN_BYTES * used++
  return pool.toString('base64url', start, start + TOKEN_BYTES) as Version
}
