import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { store as storeSchema } from '../../src/config/store-schema.ts'
import type { Clock } from '../../src/clock.ts'
import type * as testing from '../../src/testing.ts'
import { openStore } from '../../src/stores/open-store.ts'

/** As a third party imports it: by the package's name, from what is built. */
const NAME: string = 'sessiongate/testing'
const { storeConformance, systemClock, StoreUnavailableError } = await import(NAME) as typeof testing

const module = resolve(import.meta.dirname, 'custom/shelf.mjs')
const open = (clock: Clock) => openStore(storeSchema.parse({ kind: 'custom', module, options: { shelf: 'one' }, timeout: '5s' }), { clock })

describe('a custom store, opened by its module, under the suite that third parties get', () => {
  for (const { name, run } of storeConformance({ open })) test(name, run)
})

test('what third parties import is there', () => {
  expect(systemClock()).toBeGreaterThan(1_700_000_000_000)
  expect(new StoreUnavailableError('shelf', 'load', new Error('away')).code).toBe('ERR_STORE_UNAVAILABLE')
})

test('the suite refuses a store that compares nothing', async () => {
  const careless = async (clock: Clock) => {
    const store = await open(clock)
    return { ...store, replace: async (key: string, _expected: unknown, bytes: Uint8Array, expiresAt: Parameters<typeof store.create>[2]) => {
      const current = await store.load(key)
      return current ? store.replace(key, current.version, bytes, expiresAt) : { outcome: 'missing' as const }
    } }
  }
  const failed: string[] = []
  for (const { name, run } of storeConformance({ open: careless })) await run().catch(() => failed.push(name))
  expect(failed).toContain('replace with an older version is a conflict and changes nothing')
  expect(failed).toContain('a version of another key, or of no record at all, is a conflict')
})
