import { systemClock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { sessionPartsOf } from '../gateway/session-parts.ts'
import type { Log } from '../log.ts'
import type { Inventory } from '../session/inventory.ts'
import { openStore } from '../stores/open-store.ts'
import type { SessionStore } from '../stores/store.ts'

/** The operators' view of the sessions where the workers serve: over a handle of its own on their store. */
export interface PrimaryInventory {
  /** The inventory, or why there is none. */
  current(): Inventory | string
  /** Follows a reload. Rejects, changing nothing, when the store cannot be opened. */
  use(config: Config): Promise<void>
  close(): Promise<void>
}

export async function openPrimaryInventory(first: Config, log: Log): Promise<PrimaryInventory> {
  let store: SessionStore | undefined
  let identity = ''
  let inventory: Inventory | string = 'not open yet'

  async function use(config: Config): Promise<void> {
    const previous = store
    const nextIdentity = JSON.stringify(config.store)
    if (nextIdentity !== identity) {
      store = config.store.kind === 'memory' ? undefined : await openStore(config.store, { clock: systemClock })
      identity = nextIdentity
    }
    inventory = store ? (await sessionPartsOf(config, store, systemClock)).inventory : 'the memory store is in each worker: only one process alone can show it'
    if (previous && previous !== store) await previous.close()
  }

  await use(first).catch((error: unknown) => {
    inventory = 'the session store could not be opened'
    log.error({ err: error instanceof Error ? error.message : 'unknown' }, 'the operators\' API has no store')
  })
  return { current: () => inventory, use, close: async () => store?.close() }
}
