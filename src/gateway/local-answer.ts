import type { IncomingMessage, ServerResponse } from 'node:http'
import { RequestInvalidError } from '../errors.ts'
import type { Admitted } from './admit.ts'
import { ALLOWED_METHODS } from './refuse.ts'

/** OPTIONS with Max-Forwards (RFC 9110 section 7.6.2): at zero we answer, above we count down. True when answered. */
export function answerLocally({ headers }: Admitted, request: IncomingMessage, response: ServerResponse): boolean {
  if (headers.maxForwards === undefined) return false
  if (request.method !== 'OPTIONS') return false
  if (!/^\d{1,9}$/.test(headers.maxForwards)) throw new RequestInvalidError('Max-Forwards is not a number')
  if (Number(headers.maxForwards) > 0) return false
  response.writeHead(204, { Allow: ALLOWED_METHODS, Vary: 'Cookie' }).end()
  return true
}
