import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createFileStore } from '../../src/stores/file.ts'

describe.each(['process', 'power'] as const)('file, durable against the end of %s', (durability) => {
  const path = mkdtempSync(join(tmpdir(), 'sessiongate-file-'))
  afterAll(() => rmSync(path, { recursive: true }))

  for (const { name, run } of storeConformance({ open: (clock) => createFileStore({ path, durability, clock }) })) test(name, run)
})
