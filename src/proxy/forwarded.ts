import type { RequestHeaders } from '../http/request-headers.ts'
import type { IsTrusted } from '../http/addresses.ts'
import { LoopDetectedError } from '../errors.ts'

/** Who is at the other end of the client connection. */
export interface Peer {
  /** Empty on a unix socket. */
  readonly address: string
  readonly isTls: boolean
  /** A configured proxy, whose word about the client is believed. */
  readonly isTrusted: boolean
}

/** How the browser sees this request. */
export interface PublicView {
  /** The nearest address that is not a trusted proxy. */
  readonly clientAddress: string
  readonly host: string
  readonly proto: 'http' | 'https'
}

const MAX_VIA_HOPS = 10

function lastValueOf(lines: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < lines.length; i += 2) if ((lines[i] as string).toLowerCase() === name) value = lines[i + 1]
  return value
}

function allValuesOf(lines: readonly string[], name: string): string[] {
  return lines.filter((_, i) => i % 2 === 1 && (lines[i - 1] as string).toLowerCase() === name)
}

/** Forwarded and X-Forwarded-* from anyone but a trusted proxy are ignored (RFC 7239 section 8.1). */
export function publicViewOf(headers: RequestHeaders, peer: Peer, isTrusted: IsTrusted): PublicView {
  if (!peer.isTrusted) return { clientAddress: peer.address, host: headers.host, proto: peer.isTls ? 'https' : 'http' }
  const chain = allValuesOf(headers.forwarded, 'x-forwarded-for').join(',').split(',').map((item) => item.trim()).filter((item) => item !== '')
  const proto = lastValueOf(headers.forwarded, 'x-forwarded-proto')?.toLowerCase()
  return {
    clientAddress: chain.findLast((address) => !isTrusted(address)) ?? chain[0] ?? peer.address,
    host: lastValueOf(headers.forwarded, 'x-forwarded-host') ?? headers.host,
    proto: proto === 'https' || proto === 'http' ? proto : peer.isTls ? 'https' : 'http',
  }
}

/** Appends X-Forwarded-For, -Proto, -Host, Forwarded (RFC 7239) and Via (RFC 9110 section 7.6.3) to `fields`. */
export function appendForwarded(fields: string[], headers: RequestHeaders, peer: Peer, view: PublicView, via: ViaOptions): void {
  const kept = peer.isTrusted ? headers.forwarded : []
  const priorFor = allValuesOf(kept, 'x-forwarded-for')
  const priorForwarded = allValuesOf(kept, 'forwarded')
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] as string
    if (!REWRITTEN.has(name.toLowerCase())) fields.push(name, kept[i + 1] as string)
  }
  if (peer.address !== '') fields.push('X-Forwarded-For', [...priorFor, peer.address].join(', '))
  else if (priorFor.length > 0) fields.push('X-Forwarded-For', priorFor.join(', '))
  fields.push('X-Forwarded-Proto', view.proto)
  if (view.host !== '') fields.push('X-Forwarded-Host', view.host)
  if (via.strippedPrefix !== undefined) fields.push('X-Forwarded-Prefix', via.strippedPrefix)
  fields.push('Forwarded', [...priorForwarded, forwardedElement(peer, view)].join(', '))
  fields.push('Via', [...headers.via, `1.1 ${via.pseudonym}`].join(', '))
}

export interface ViaOptions {
  readonly pseudonym: string
  readonly strippedPrefix: string | undefined
}

const REWRITTEN: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded'])

function forwardedElement(peer: Peer, view: PublicView): string {
  const node = peer.address === '' ? 'unknown' : peer.address.includes(':') ? `"[${peer.address}]"` : peer.address
  const host = /^[A-Za-z0-9.-]+$/.test(view.host) ? view.host : `"${view.host.replace(/["\\]/g, '')}"`
  return `for=${node};${view.host === '' ? '' : `host=${host};`}proto=${view.proto}`
}

/** Throws when our own pseudonym already stands in Via so often that the request is going round in circles. */
export function checkLoop(via: readonly string[], pseudonym: string): void {
  if (via.length > 0 && via.join(',').split(`1.1 ${pseudonym}`).length > MAX_VIA_HOPS) throw new LoopDetectedError()
}
