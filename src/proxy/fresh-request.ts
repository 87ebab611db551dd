import { request as httpRequest, type ClientRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { TargetOptions, UpstreamOptions } from './upstream-pool.ts'

/** A GET by node:http on a connection of its own: for what must not, or need not, share one. Not sent before `end()`. */
export function freshRequest({ origin, socketPath }: TargetOptions, tls: UpstreamOptions['tls'], options: RequestOptions): ClientRequest {
  const { hostname, port, protocol } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  const complete = { ...options, method: 'GET', agent: false as const, ...(socketPath === undefined ? { host, port } : { socketPath }) }
  if (protocol !== 'https:') return httpRequest(complete)
  return httpsRequest({
    ...complete,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    rejectUnauthorized: tls.rejectUnauthorized,
    // An address is no server name (RFC 6066 section 3); the certificate is held to it all the same.
    servername: tls.servername ?? (isIP(host) ? '' : host),
  })
}
