import { z } from 'zod'

/** Where to listen: a TCP address or a unix socket. */
export type Address = { readonly kind: 'tcp'; readonly host: string; readonly port: number } | { readonly kind: 'unix'; readonly path: string }

/** Parses `host:port`, `[v6]:port` or `unix:/path`; undefined when it is neither. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path.startsWith('/') ? { kind: 'unix', path } : undefined
  }
  const [, v6, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? name
  if (host === undefined || port === undefined || Number(port) > 65_535) return undefined
  return { kind: 'tcp', host, port: Number(port) }
}

/** Whether only this machine can connect: a loopback address, `localhost` or a unix socket. */
export function isLoopback(address: Address): boolean {
  return address.kind === 'unix' || address.host === 'localhost' || address.host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address.host)
}

export const listenAddress = z.string().transform((text, context): Address => {
  const address = parseAddress(text)
  if (address) return address
  context.addIssue({ code: 'custom', message: 'expected "host:port", "[v6]:port" or "unix:/path"' })
  return z.NEVER
})
