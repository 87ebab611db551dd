import { claimOf, type OldSession } from '../../session/adoption.ts'
import type { EpochMs, JsonObject } from '../../session/session.ts'
import type { ItsdangerousSigner } from './itsdangerous.ts'
import type { KeptTexts } from './kept-texts.ts'
import { typedOfMembers } from './members.ts'
import { decodeFlaskCookie, isPermanent } from './session-cookie.ts'
import type { ForeignTags } from './tagged-json.ts'

export interface OldCookieOptions {
  readonly signer: ItsdangerousSigner
  readonly texts: KeptTexts
  readonly foreignTags: ForeignTags
  /** PERMANENT_SESSION_LIFETIME, which Flask holds every cookie to, permanent or not. */
  readonly lifetimeSeconds: number
}

/** How far ahead of ours the app's clock may be. */
const SKEW_SECONDS = 60

/**
 * The session in a cookie the app itself has given a browser, or undefined: forged, too old, unreadable or empty. The claim is made
 * of what was signed, since one signature can be written in many ways.
 */
export function readOldCookie(value: string, now: EpochMs, { signer, texts, foreignTags, lifetimeSeconds }: OldCookieOptions): OldSession & { readonly data: JsonObject } | undefined {
  const decoded = decodeFlaskCookie(unquoted(value), { signer, foreignTags })
  if (!decoded.ok || decoded.members.size === 0) return undefined
  const { members, payloadText, issuedAtSeconds } = decoded
  const ageSeconds = now / 1_000 - issuedAtSeconds
  if (ageSeconds > lifetimeSeconds || ageSeconds < -SKEW_SECONDS) return undefined
  return {
    claim: claimOf(`flask ${issuedAtSeconds} ${payloadText}`),
    data: typedOfMembers(members),
    jar: texts.jarOf(members),
    permanent: isPermanent(members),
    until: (issuedAtSeconds + lifetimeSeconds + SKEW_SECONDS) * 1_000 as EpochMs,
  }
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}
