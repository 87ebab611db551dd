import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createFileStore } from '../../src/stores/file.ts'
import { guardStore } from '../../src/stores/guarded-store.ts'

const variants = {
  'file, an acknowledged write survives a killed process': (path: string, clock: Clock) => createFileStore({ path, durability: 'process', clock }),
  'file, an acknowledged write survives a power cut': (path: string, clock: Clock) => createFileStore({ path, durability: 'power', clock }),
  'file, guarded': (path: string, clock: Clock) => guardStore(createFileStore({ path, clock }), { timeoutMs: 5_000 }),
}

describe.each(Object.entries(variants))('%s', (_name, open) => {
  const path = mkdtempSync(join(tmpdir(), 'sessiongate-file-'))
  afterAll(() => rmSync(path, { recursive: true }))

  for (const { name, run } of storeConformance({ open: (clock) => open(path, clock) })) test(name, run)
})
