import type { Config } from '../schema.ts'
import { session as sessionSchema } from '../session-schema.ts'
import { upstream as upstreamSchema, type UpstreamConfig } from '../upstream-schema.ts'
import type { Judge } from './judge.ts'

/** Signature, protected header, the two dots, the field's name: what an assertion has beside its claims, rounded up. */
const JWS_OVERHEAD_BYTES = 200
/** The claims beside `data`. */
const CLAIMS_OVERHEAD_BYTES = 300

const DEFAULT_BYTES = sessionSchema.shape.maxBytes.parse(undefined)
const DEFAULT_HEADER_BYTES = upstreamSchema.shape.maxHeaderBytes.parse(undefined)

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
    const isChosen = { bytes: session.maxBytes !== DEFAULT_BYTES, header: upstream.maxHeaderBytes !== DEFAULT_HEADER_BYTES }
    if (!seesAll || session.maxBytes <= fits || !(isChosen.bytes || isChosen.header)) continue
    const written = isChosen.bytes ? 'session.maxBytes' : limit
    judge.warn(written, `sessions may have ${session.maxBytes} bytes, but the header to ${name} carries about ${fits}; larger ones are refused when stored. Raise ${limit} as far as that server allows, or narrow expose`, limit)
  }
}
