import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Address } from '../config/address.ts'

/**
 * Whether a request can come from an operator's tool: not from a web page in the browser of somebody who can reach this listener. A
 * page of another site has an Origin, or Sec-Fetch-Site says so; one that made its own name point here (DNS rebinding) has that
 * name in Host. So Host must be an address, localhost, or the name the listener was given.
 */
export function isOperator({ headers }: IncomingMessage, address: Address): boolean {
  const site = headers['sec-fetch-site']
  if (headers.origin !== undefined || (site !== undefined && site !== 'none' && site !== 'same-origin')) return false
  if (address.kind === 'unix') return true
  const name = (headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
  return name === 'localhost' || name === address.host.toLowerCase() || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
}
