import type { Json, JsonObject } from '../../src/session/session.ts'
import type { HeaderList } from './http-framing.ts'
import type { HttpClient, HttpReply, HttpRequestOptions } from './http-client.ts'
import { rawResponse, type Script } from './raw-answers.ts'
import type { SeenRequest } from './upstream-connection.ts'
import type { World } from './world.ts'

/** What a client tells the app behind the gateway to answer. */
export interface Order {
  readonly patch?: JsonObject
  readonly control?: string
  readonly status?: number
  readonly headers?: HeaderList
  readonly body?: string
}

const ORDER = 'x-order'

/** An app that answers as the client orders; without an order, 200 "ok". */
export const obey: Script = (request) => answerTo(orderOf(request), request.method)

export function orderOf(request: SeenRequest): Order {
  const order = request.header(ORDER)
  return order === undefined ? {} : JSON.parse(Buffer.from(order, 'base64url').toString()) as Order
}

export function answerTo({ patch, control, status = 200, headers = [], body = 'ok' }: Order, method = 'GET'): Buffer {
  const own: [string, string][] = []
  if (patch !== undefined) own.push(['X-Session-Patch', encodePatch(patch)])
  if (control !== undefined) own.push(['X-Session-Control', control])
  const isBodiless = status === 204 || status === 304
  return rawResponse({ status, headers: [...own, ...headers], ...(isBodiless ? {} : { body }), headOnly: method === 'HEAD' })
}

/** As an app would send it: JSON when it is ASCII, else base64url. */
export function encodePatch(patch: Json): string {
  const text = JSON.stringify(patch)
  return /^[\x20-\x7e]*$/.test(text) ? text : Buffer.from(text).toString('base64url')
}

/** Sends an order through the gateway. */
export function order(client: HttpClient, what: Order, { path = '/', method = 'GET', ...options }: HttpRequestOptions & { path?: string; method?: string } = {}): Promise<HttpReply> {
  const headers = { ...options.headers, [ORDER]: Buffer.from(JSON.stringify(what)).toString('base64url') }
  return client.request(method, path, { ...options, headers })
}

/** The claims of an assertion without verifying it, for apps that work on them. */
export function claimsOf(request: SeenRequest): JsonObject {
  const [, body = ''] = (request.header('x-session-assertion') ?? '').split('.')
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as JsonObject
}

/** What the session holds by now, as an upstream sees it: `undefined` when there is none. */
export async function dataOf(world: World, client: HttpClient = world.client, path = '/'): Promise<JsonObject | undefined> {
  await order(client, {}, { path })
  const claims = world.lastClaims()
  return claims['new'] === true ? undefined : claims['data'] as JsonObject
}

/** Whatever of the gateway's own fields a client can see in a reply. */
export function leaksIn(headers: HeaderList): string[] {
  return headers.map(([name]) => name).filter((name) => /^x[-_.]session/i.test(name))
}
