import { LoopDetectedError } from '../errors.ts'
import type { IsTrusted } from '../http/addresses.ts'
import { addressOf, parseForwarded } from '../http/forwarded-field.ts'
import { isHost, type RequestHeaders } from '../http/request-headers.ts'

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

const MAX_PASSES = 10

function valuesOf(lines: readonly string[], name: string): string[] {
  return lines.filter((_, i) => i % 2 === 1 && (lines[i - 1] as string).toLowerCase() === name)
}

/** The members of a list over several lines. */
function membersOf(lines: readonly string[], name: string): string[] {
  return valuesOf(lines, name).join(',').split(',').map((item) => item.trim()).filter((item) => item !== '')
}

/**
 * Forwarded and X-Forwarded-* from anyone but a trusted proxy are ignored (RFC 7239 section 8.1). One that says X-Forwarded-* is
 * not asked for Forwarded: it may have passed a client's through.
 */
export function publicViewOf(headers: RequestHeaders, peer: Peer, isTrusted: IsTrusted): PublicView {
  const own: PublicView = { clientAddress: peer.address, host: headers.host, proto: peer.isTls ? 'https' : 'http' }
  if (!peer.isTrusted || headers.forwarded.length === 0) return own
  return viewByXForwarded(headers.forwarded, own, isTrusted) ?? viewByForwarded(headers.forwarded, own, isTrusted)
}

function viewByXForwarded(lines: readonly string[], own: PublicView, isTrusted: IsTrusted): PublicView | undefined {
  const chain = membersOf(lines, 'x-forwarded-for').map(addressOf)
  const [proto] = membersOf(lines, 'x-forwarded-proto')
  const [host] = membersOf(lines, 'x-forwarded-host')
  if (chain.length === 0 && proto === undefined && host === undefined) return undefined
  return viewOf(own, chain[nearestClient(chain, isTrusted)], host, proto)
}

/** Host and protocol are those of the element that names the client: the proxy it spoke to saw them. */
function viewByForwarded(lines: readonly string[], own: PublicView, isTrusted: IsTrusted): PublicView {
  const elements = parseForwarded(valuesOf(lines, 'forwarded')) ?? []
  const chain = elements.map((element) => addressOf(element.get('for') ?? 'unknown'))
  const client = nearestClient(chain, isTrusted)
  const element = elements[client]
  return viewOf(own, chain[client], element?.get('host'), element?.get('proto'))
}

/** The index of the nearest address that is not a trusted proxy; of the farthest when all are. */
function nearestClient(chain: readonly string[], isTrusted: IsTrusted): number {
  return Math.max(0, chain.findLastIndex((address) => !isTrusted(address)))
}

function viewOf(own: PublicView, address: string | undefined, host: string | undefined, proto: string | undefined): PublicView {
  const said = proto?.toLowerCase()
  return {
    clientAddress: address ?? own.clientAddress,
    host: host !== undefined && isHost(host) ? host : own.host,
    proto: said === 'https' || said === 'http' ? said : own.proto,
  }
}

/** What the upstream is told beside the addresses. */
export interface ForwardedOptions {
  /** Our entry in Via: the version the request came in and our pseudonym. */
  readonly via: string
  /** What the route takes off the path; a proxy before us may have taken off more. */
  readonly strippedPrefix: string | undefined
}

/** Appends X-Forwarded-For, -Proto, -Host, Forwarded (RFC 7239) and Via (RFC 9110 section 7.6.3) to `fields`. */
export function appendForwarded(fields: string[], headers: RequestHeaders, peer: Peer, view: PublicView, options: ForwardedOptions): void {
  const kept = peer.isTrusted ? headers.forwarded : []
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] as string
    if (!isRewritten(name.toLowerCase(), options)) fields.push(name, kept[i + 1] as string)
  }
  const chain = valuesOf(kept, 'x-forwarded-for')
  if (peer.address !== '') chain.push(peer.address)
  if (chain.length > 0) fields.push('X-Forwarded-For', chain.join(', '))
  fields.push('X-Forwarded-Proto', view.proto)
  if (view.host !== '') fields.push('X-Forwarded-Host', view.host)
  if (options.strippedPrefix !== undefined) fields.push('X-Forwarded-Prefix', (valuesOf(kept, 'x-forwarded-prefix')[0] ?? '') + options.strippedPrefix)
  fields.push('Forwarded', appended(valuesOf(kept, 'forwarded'), forwardedElement(peer, view)))
  fields.push('Via', appended(headers.via, options.via))
}

const REWRITTEN: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded'])

function isRewritten(name: string, { strippedPrefix }: ForwardedOptions): boolean {
  return REWRITTEN.has(name) || (name === 'x-forwarded-prefix' && strippedPrefix !== undefined)
}

function appended(values: readonly string[], last: string): string {
  return values.length === 0 ? last : [...values, last].join(', ')
}

function forwardedElement(peer: Peer, view: PublicView): string {
  const node = peer.address === '' ? 'unknown' : peer.address.includes(':') ? `"[${peer.address}]"` : peer.address
  const host = /^[A-Za-z0-9.-]+$/.test(view.host) ? view.host : `"${view.host}"`
  return `for=${node};${view.host === '' ? '' : `host=${host};`}proto=${view.proto}`
}

/** Throws when our own pseudonym already stands in Via so often that the request is going round in circles. */
export function checkLoop(via: readonly string[], pseudonym: string): void {
  if (via.length === 0) return
  const passes = via.join(',').split(',').filter((entry) => entry.trim().split(/[ \t]+/)[1] === pseudonym)
  if (passes.length >= MAX_PASSES) throw new LoopDetectedError()
}
