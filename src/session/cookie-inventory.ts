import { NotScannableError, type Inventory } from './inventory.ts'

/** What operators see where sessions are in their cookies: nothing. What they can do stands in store.notBefore. */
export function createCookieInventory(): Inventory {
  const unseen = (): Promise<never> => Promise.reject(new NotScannableError('cookie', 'its sessions are in the browsers; end them with store.notBefore, or with "sessiongate sessions revoke --all (or --subject S) -c FILE" beside store.notBeforeFile'))
  return { list: unseen, listOf: unseen, find: unseen, revoke: unseen, revokeOf: unseen, revokeAll: unseen }
}
