import { describe, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

describe('memory', () => {
  for (const { name, run } of storeConformance({ open: (clock) => createMemoryStore({ clock }), shared: false })) test(name, run)
})

describe('memory, guarded', () => {
  const open = (clock: Clock) => guardStore(createMemoryStore({ clock }), { timeoutMs: 5_000, onCall: () => {} })
  for (const { name, run } of storeConformance({ open, shared: false })) test(name, run)
})
