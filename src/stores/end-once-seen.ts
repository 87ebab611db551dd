import type { StoredRecord } from './store.ts'

export interface Ending {
  /** The record that is there instead of the one to be ended: nothing was done. */
  readonly found: StoredRecord | undefined
  /** What was to be ended is gone, by this call or by one whose answer was lost. */
  readonly isEnded: boolean
}

/**
 * Ends whatever record is there, once it has been seen, and resolves to it: a command that is sent again after a lost answer may find
 * nothing left to tell of it. `end` ends the record it is given, or nothing, and says what it met.
 */
export async function endOnceSeen(end: (seen: StoredRecord | undefined) => Promise<Ending>): Promise<StoredRecord | undefined> {
  let seen: StoredRecord | undefined
  for (;;) {
    const { found, isEnded } = await end(seen)
    if (!found) return isEnded ? seen : undefined
    seen = found
  }
}
