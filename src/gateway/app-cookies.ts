import type { Adapter } from '../adapters/adapter.ts'
import { SessionTooLargeError } from '../errors.ts'
import type { ResponseHeaders } from '../http/response-headers.ts'
import type { Mutation } from '../session/mutation.ts'
import type { Opened } from '../session/sessions.ts'
import type { Admitted } from './admit.ts'
import type { Gateway } from './gateway.ts'
import { appRequestOf } from './upstream-request.ts'

/** The session the app itself had given this visitor, made ours; one that could not be stored is left to the past. */
export async function adoptOld(gateway: Gateway, adapter: Adapter, admitted: Admitted, opened: Opened): Promise<Opened> {
  const old = adapter.findOld(appRequestOf(admitted))
  if (!old) return opened
  try {
    const adopted = await gateway.sessions.adopt(old, gateway.checkStorable)
    gateway.log.debug({ route: admitted.route.name, isNew: adopted.loaded !== undefined }, 'an old session of the app was brought along')
    return adopted
  } catch (error) {
    if (error instanceof SessionTooLargeError) return opened
    throw error
  }
}

/** Reads the cookies the adapter has claimed; what they become for the browser is put into the head. */
export function readAppCookies(adapter: Adapter, admitted: Admitted, { loaded, unavailable }: Opened, head: ResponseHeaders, asked: Mutation): Mutation {
  const { mutation, setCookies, deletions } = adapter.readAnswer(head.claimedCookies, appRequestOf(admitted), loaded, asked)
  for (const line of setCookies) head.fields.push('Set-Cookie', line)
  if (!unavailable) for (const line of deletions) head.fields.push('Set-Cookie', line)
  return mutation
}
