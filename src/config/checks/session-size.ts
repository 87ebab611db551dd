import type { Config } from '../schema.ts'
import type { UpstreamConfig } from '../upstream-schema.ts'
import type { Judge } from './judge.ts'

/** Signature, protected header, the two dots, the field's name: what an assertion has beside its claims, rounded up. */
const JWS_OVERHEAD_BYTES = 200
/** The claims beside `data`. */
const CLAIMS_OVERHEAD_BYTES = 300

/** About how many bytes of data (JSON) fit into one assertion for this upstream: base64url makes 4 bytes of 3. */
export function deliverableBytes({ maxHeaderBytes }: Pick<UpstreamConfig, 'maxHeaderBytes'>): number {
  return Math.max(0, Math.floor((maxHeaderBytes - JWS_OVERHEAD_BYTES) * 3 / 4) - CLAIMS_OVERHEAD_BYTES)
}

/**
 * A limit the operator chose that an upstream's header cannot carry. The defaults are not remarked on: what cannot be delivered is
 * refused when it is stored, and `sessiongate check` prints the figure.
 */
export function checkSessionSize({ session, upstreams, routes }: Config, judge: Judge): void {
  for (const [name, upstream] of Object.entries(upstreams)) {
    const limit = `upstreams.${name}.maxHeaderBytes`
    const seesAll = routes.some((route) => route.upstream === name && route.session !== 'none' && route.expose.includes('*'))
    const fits = deliverableBytes(upstream)
    if (!seesAll || session.maxBytes <= fits || !(judge.isWritten('session.maxBytes') || judge.isWritten(limit))) continue
    const written = judge.isWritten('session.maxBytes') ? 'session.maxBytes' : limit
    judge.warn(written, `sessions may have ${session.maxBytes} bytes, but the header to ${name} carries about ${fits}; larger ones are refused when stored. Raise ${limit} as far as that server allows, or narrow expose`, limit)
  }
}
