import { createHash } from 'node:crypto'

/** The files a configuration was read from: absolute path -> digest of the content that was read (digestOf). */
export type FilesRead = ReadonlyMap<string, string>

/** SHA-256 in base64url; 'absent' for a file that cannot be read. */
export function digestOf(content: Uint8Array | undefined): string {
  return content ? createHash('sha256').update(content).digest('base64url') : 'absent'
}
