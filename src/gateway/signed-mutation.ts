import { MutationRefusedError } from '../errors.ts'
import type { ResponseHeaders } from '../http/response-headers.ts'
import { readMutation, type Mutation, type MutationRules } from '../session/mutation.ts'
import type { Opened } from '../session/sessions.ts'
import type { EpochMs } from '../session/session.ts'
import { verifyJws, type VerificationKey } from '../signing/verify-jws.ts'

export interface SignedRules {
  readonly rules: MutationRules
  readonly keys: readonly VerificationKey[]
  /** This gateway's issuer name. */
  readonly audience: string
  readonly opened: Opened
  readonly now: EpochMs
}

const SKEW_SECONDS = 30

/**
 * Reads X-Session-Mutation: one JWS whose claims are `patch` and `control`, each the text its header would have, `sid` (absent
 * when there was no session), `aud` (this gateway) and `exp`. Throws MutationRefusedError('signature').
 */
export function readSignedMutation(fields: ResponseHeaders['mutation'], { rules, keys, audience, opened, now }: SignedRules): Mutation {
  if (fields.patch.length + fields.control.length > 0) throw refused('this route takes only signed mutations')
  const [token] = fields.signed
  if (token === undefined || fields.signed.length > 1) throw new MutationRefusedError('duplicate', 'more than one signed mutation')
  const verified = verifyJws(token, keys)
  if (!verified.ok) throw refused(verified.reason)
  const { patch, control, sid, aud, exp } = verified.claims
  if (aud !== audience) throw refused('meant for another gateway')
  if (typeof exp !== 'number' || exp + SKEW_SECONDS < now / 1_000) throw refused('expired, or without exp')
  if (sid !== opened.loaded?.session.handle) throw refused('meant for another session')
  return readMutation({ patch: textClaim(patch), control: textClaim(control) }, rules)
}

function textClaim(claim: unknown): string[] {
  if (claim === undefined) return []
  if (typeof claim !== 'string') throw refused('the claims patch and control must be strings')
  return [claim]
}

function refused(detail: string): MutationRefusedError {
  return new MutationRefusedError('signature', detail)
}
