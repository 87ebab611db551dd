import type { ServerResponse } from 'node:http'
import type { RawHeaders } from '../http/field-names.ts'

const MAX_RELAYED = 8
const relayed = new WeakMap<ServerResponse, number>()

/** Relays a 103 (RFC 8297) with its Link fields alone: nothing else of an interim response concerns a client. At most eight. */
export function relayEarlyHints(response: ServerResponse, headers: RawHeaders): void {
  const count = relayed.get(response) ?? 0
  const link = headers.filter((_, i) => i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === 'link')
  if (response.headersSent || response.destroyed || link.length === 0 || count >= MAX_RELAYED) return
  relayed.set(response, count + 1)
  try {
    response.writeEarlyHints({ link })
  } catch {
    // Node refuses links it cannot parse; a hint may be lost, the answer may not.
  }
}
