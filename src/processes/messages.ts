import type { Readiness } from '../admin/admin.ts'

/** What the primary says to its workers. */
export type FromPrimary =
  | { readonly sessiongate: 'stop' }
  | { readonly sessiongate: 'reload' }
  | { readonly sessiongate: 'readiness'; readonly question: number }

/** What a worker says to the primary. */
export type FromWorker =
  | { readonly sessiongate: 'serving'; readonly jwks: object }
  | ({ readonly sessiongate: 'readiness'; readonly question: number } & Readiness)

function isOurs(message: unknown): message is { readonly sessiongate: string } {
  return typeof message === 'object' && message !== null && 'sessiongate' in message
}

export function isFromPrimary(message: unknown): message is FromPrimary {
  return isOurs(message)
}

export function isFromWorker(message: unknown): message is FromWorker {
  return isOurs(message)
}
