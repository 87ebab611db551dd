import { claimsOf, encodePatch } from '../support/obedient-app.ts'
import { rawResponse, type Script } from '../support/raw-answers.ts'
import type { JsonObject } from '../../src/session/session.ts'
import type { Seen } from './history.ts'

/** What a client asks of the app. */
export type Operation =
  | { readonly kind: 'read' | 'count' | 'rotate' | 'destroy' }
  | { readonly kind: 'register'; readonly to: string }
  | { readonly kind: 'own'; readonly client: string; readonly value: number }

export const OPERATION = 'x-operation'

/** An ordinary app: it works on the session it was handed, answers what it saw, and asks for its change. */
export const checkedApp: Script = (request) => {
  const operation = JSON.parse(request.header(OPERATION) ?? '{"kind":"read"}') as Operation
  const { data, ver, new: isNew } = claimsOf(request) as { data: JsonObject; ver?: string; new: boolean }
  const { count = 0, register = '', ...own } = data
  const seen = { isNew, version: ver ?? '', count, register, own } as Seen
  return rawResponse({ headers: changeFor(operation, seen), body: JSON.stringify(seen) })
}

/** The client that makes sessions; nobody else changes one that is not there, which is what a rotated or ended id looks like. */
export const CREATOR = 'creator'

function changeFor(operation: Operation, { version, count, isNew }: Seen): [string, string][] {
  if (isNew && !(operation.kind === 'own' && operation.client === CREATOR)) return []
  const onlyIf: [string, string] = ['X-Session-Control', `if-version="${version}"`]
  const patch = (change: JsonObject): [string, string] => ['X-Session-Patch', encodePatch(change)]
  switch (operation.kind) {
    case 'read': return []
    case 'count': return [patch({ count: count + 1 }), onlyIf]
    case 'register': return [patch({ register: operation.to }), onlyIf]
    case 'own': return [patch({ [operation.client]: operation.value })]
    case 'rotate': return [['X-Session-Control', 'rotate']]
    case 'destroy': return [['X-Session-Control', 'destroy']]
  }
}
