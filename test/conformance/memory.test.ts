import { describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

describe('memory', () => {
  for (const { name, run } of storeConformance({ open: (clock) => createMemoryStore({ clock }), shared: false })) test(name, run)
})
