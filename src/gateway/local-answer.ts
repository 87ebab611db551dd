import type { IncomingMessage, ServerResponse } from 'node:http'
import { RequestInvalidError } from '../errors.ts'
import type { Admitted } from './admit.ts'
import { ALLOWED_METHODS } from './refuse.ts'

/**
 * What is asked of us and not of the app: OPTIONS * (RFC 9110 section 9.3.7), and OPTIONS whose Max-Forwards has run out (section
 * 7.6.2). True when answered.
 */
export function answerLocally({ headers, target }: Admitted, request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method !== 'OPTIONS') return false
  if (headers.maxForwards !== undefined && !/^\d{1,9}$/.test(headers.maxForwards)) throw new RequestInvalidError('Max-Forwards is not a number')
  if (target.origin !== '*' && Number(headers.maxForwards ?? 1) > 0) return false
  response.writeHead(204, { Allow: ALLOWED_METHODS, Vary: 'Cookie' }).end()
  return true
}
