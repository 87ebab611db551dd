import { hkdfSync } from 'node:crypto'
import type { Config } from '../config/schema.ts'
import type { StoreConfig } from '../config/store-schema.ts'
import { chunkCapacityOf, chunkLines, chunkNamesOf, clearChunkLines, splitChunks, type SplitChunks } from '../http/cookie-chunks.ts'
import type { RecordKey } from '../session/codec.ts'
import { createCookieCodec } from '../session/cookie-codec.ts'
import { createCookieSessions } from '../session/cookie-sessions.ts'
import { parseRevocations } from '../session/revocations.ts'
import { createKeyRing } from '../signing/keyring.ts'
import type { BuiltSessions, SessionsContext } from './build-sessions.ts'

export type CookieStoreConfig = Extract<StoreConfig, { readonly kind: 'cookie' }>

/** Sessions that the browser keeps itself (`store.kind: cookie`). */
export function buildCookieSessions({ keys }: Config, { notBefore }: CookieStoreConfig, context: SessionsContext): BuiltSessions {
  const { parts, cookie, rotateOn, subject, clock, events } = context
  const names = chunkNamesOf(cookie.name)
  const ring = createKeyRing(keys.cookie.map(({ id, secret }): RecordKey => ({ id, bytes: Buffer.from(hkdfSync('sha256', secret, '', 'sessiongate session cookie', 32)) })))
  const codec = createCookieCodec(ring, cookie.name)
  return {
    sessions: createCookieSessions({
      codec,
      maxChars: chunkCapacityOf(cookie),
      policy: parts.policy,
      revocations: notBefore === undefined ? undefined : parseRevocations(notBefore),
      rotateOn,
      subject,
      clock,
      events,
    }),
    cookies: {
      names,
      split: (lines) => splitChunks(lines, names),
      isOurs: (candidate) => codec.open(candidate) !== undefined,
      linesFor(change, presented) {
        const { extra } = presented as SplitChunks
        return change.kind === 'clear' ? clearChunkLines(cookie, extra) : chunkLines(cookie, change.sealed ?? '', change.permanentUntil, clock(), extra)
      },
    },
  }
}
