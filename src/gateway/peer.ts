import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { plainAddress, type IsTrusted } from '../http/addresses.ts'
import type { Peer } from '../proxy/forwarded.ts'

const peers = new WeakMap<Socket, { readonly peer: Peer; readonly isTrusted: IsTrusted }>()

/** Who is connected, worked out once per connection and generation. */
export function peerOf(socket: Socket, isTrusted: IsTrusted): Peer {
  const known = peers.get(socket)
  if (known?.isTrusted === isTrusted) return known.peer
  const address = plainAddress(socket.remoteAddress ?? '')
  const peer = { address, isTls: (socket as TLSSocket).encrypted === true, isTrusted: isTrusted(address) }
  peers.set(socket, { peer, isTrusted })
  return peer
}
