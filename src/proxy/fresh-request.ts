import { request as httpRequest, type ClientRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { placeOf, type TargetTls } from './target-place.ts'
import type { TargetOptions } from './upstream-pool.ts'

/** A GET by node:http on a connection of its own: for what must not, or need not, share one. Not sent before `end()`. */
export function freshRequest(target: TargetOptions, tls: TargetTls, options: RequestOptions): ClientRequest {
  const place = placeOf(target, tls)
  const complete = { ...options, method: 'GET', agent: false as const, ...place.address }
  return place.tls ? httpsRequest({ ...complete, ...place.tls }) : httpRequest(complete)
}
