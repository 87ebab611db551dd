import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whether an address lies in one of the configured networks. */
export type IsTrusted = (address: string) => boolean

/** From addresses (`10.1.2.3`) and networks (`10.0.0.0/8`, `fd00::/8`). Throws on anything else. `unix` trusts unix sockets. */
export function createTrust(networks: readonly string[]): IsTrusted {
  const trustsUnix = networks.includes('unix')
  const ranges = networks.filter((network) => network !== 'unix').map((network) => {
    if (network.includes('/')) return ipaddr.parseCIDR(network)
    const address = ipaddr.parse(network)
    return [address, address.kind() === 'ipv4' ? 32 : 128] as const
  })
  if (ranges.length === 0) return (address) => address === '' && trustsUnix
  return (text) => {
    if (text === '') return trustsUnix
    // ipaddr.js alone also reads `10` and `012.1` as addresses.
    if (isIP(text) === 0 || !ipaddr.isValid(text)) return false
    const address = ipaddr.process(text)
    return ranges.some(([range, bits]) => address.kind() === range.kind() && (address.match as (range: unknown, bits: number) => boolean)(range, bits))
  }
}

/** `::ffff:127.0.0.1` -> `127.0.0.1`; everything else as it is. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address
}

/** The network one customer has all to itself: an IPv4 address, an IPv6 /64 (RFC 6177). Anything else as it is. */
export function networkOf(address: string): string {
  return address.includes(':') && ipaddr.IPv6.isValid(address) ? ipaddr.IPv6.parse(address).parts.slice(0, 4).join(':') : address
}
