import { createItsdangerousSigner } from './itsdangerous.ts'
import type { SignerOptions } from './itsdangerous.ts'

/**
 * Flask-Session's cookie under SESSION_USE_SIGNER: `sid.signature`, no time in it, so it never expires. Salt `flask-session` unless
 * told. Flask-Session itself knows one secret only and ignores SECRET_KEY_FALLBACKS.
 */
export interface SignedIdCodec {
  sign(sid: string): string
  /** The sid, or undefined when the signature is missing or not ours. Split at the last dot: a sid may hold `-` and `_`. */
  unsign(cookie: string): string | undefined
}

export function createSignedIdCodec(options: Omit<SignerOptions, 'salt' | 'legacyTimestamps'> & { readonly salt?: string }): SignedIdCodec {
  return createItsdangerousSigner({ salt: 'flask-session', ...options })
}
