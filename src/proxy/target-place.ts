import { isIP } from 'node:net'

/** How an HTTPS target is verified. */
export interface TargetTls {
  readonly ca: string | undefined
  readonly servername: string | undefined
  readonly rejectUnauthorized: boolean
}

interface TlsOptions {
  readonly ca?: string
  readonly rejectUnauthorized: boolean
  readonly servername: string
}

/** Where a target listens and, for HTTPS, how it is verified, in the words of node:net, node:tls and node:http. */
export interface TargetPlace {
  readonly address: { readonly host: string; readonly port: number } | { readonly socketPath: string }
  readonly tls: TlsOptions | undefined
}

export function placeOf({ origin, socketPath }: { readonly origin: string; readonly socketPath: string | undefined }, { ca, servername, rejectUnauthorized }: TargetTls): TargetPlace {
  const { hostname, port, protocol } = new URL(origin)
  const isTls = protocol === 'https:'
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    address: socketPath === undefined ? { host, port: Number(port || (isTls ? 443 : 80)) } : { socketPath },
    tls: isTls ? {
      ...(ca === undefined ? {} : { ca }),
      rejectUnauthorized,
      // An address is no server name (RFC 6066 section 3); the certificate is held to it all the same.
      servername: servername ?? (isIP(host) ? '' : host),
    } : undefined,
  }
}
