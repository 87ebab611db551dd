import { NotScannableError, type Inventory } from './inventory.ts'
import type { Subjects } from './subjects.ts'

const UNSEEN = 'its sessions are in the browsers, where nobody else sees them'

/** What operators can do where sessions are in their cookies: end those of a subject, where epochs are kept at a server. */
export function createCookieInventory(subjects: Subjects | undefined): Inventory {
  const unseen = (): Promise<never> => Promise.reject(new NotScannableError('cookie', UNSEEN))
  return {
    list: unseen,
    listOf: unseen,
    find: unseen,
    revoke: unseen,
    revokeOf: async (subject) => (subjects ? (await subjects.revoke(subject)).length : unseen()),
    revokeAll: () => Promise.reject(new NotScannableError('cookie', `${UNSEEN}; to end them all, set store.notBefore, or use "sessiongate sessions revoke --all -c FILE" with store.notBeforeFile`)),
  }
}
