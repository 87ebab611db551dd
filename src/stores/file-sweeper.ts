import type { Clock } from '../clock.ts'
import type { FileDatabase } from './file-database.ts'

const BATCH = 256

export interface SweeperOptions {
  readonly clock: Clock
  readonly intervalMs: number
}

/**
 * Gives back the space of expired entries. Expiry itself is enforced by reads, so there is no hurry: each interval one bounded
 * batch of keys is looked through, round and round; the next batch comes at once while most of what is found is dead. Several
 * processes may sweep one database, since an entry goes only if it is still the dead one.
 */
export function startSweeper(database: FileDatabase, { clock, intervalMs }: SweeperOptions): { stop(): void } {
  let position: string | undefined
  let timer = setTimeout(next, intervalMs * (0.5 + Math.random()))
  let stopped = false
  timer.unref()

  function next(): void {
    sweep().then((removed) => {
      if (stopped) return
      timer = setTimeout(next, removed > BATCH / 2 ? 10 : intervalMs)
      timer.unref()
    }, () => {
      if (!stopped) timer = setTimeout(next, 10 * intervalMs).unref()   // a sick disk shows itself on the calls of users
    })
  }

  async function sweep(): Promise<number> {
    const keys = database.keysAfter(position, BATCH)
    position = keys.length < BATCH ? undefined : keys.at(-1)
    if (position === undefined) database.forgetDeadReaders()
    const removals: Promise<boolean>[] = []
    for (const key of keys) {
      const entry = database.read(key)
      if (entry && entry.expiresAt <= clock()) removals.push(database.removeIf(key, entry.version))
    }
    return (await Promise.all(removals)).filter(Boolean).length
  }

  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
