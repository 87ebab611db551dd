import { expect, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { systemClock } from '../../src/clock.ts'
import type { EpochMs, Version } from '../../src/session/session.ts'
import { storeConformance } from '../../src/stores/conformance.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, WriteOutcome } from '../../src/stores/store.ts'

/** Names of the cases a store fails. */
async function failuresOf(spoil: (store: SessionStore, clock: Clock) => Partial<SessionStore>): Promise<string[]> {
  const open = (clock: Clock) => {
    const store = createMemoryStore({ clock })
    return { ...store, ...spoil(store, clock) }
  }
  const failures: string[] = []
  for (const { name, run } of storeConformance({ open, shared: false })) await run().catch(() => failures.push(name))
  return failures
}

test('a sound store fails no case', async () => {
  expect(await failuresOf(() => ({}))).toEqual([])
})

async function overwrite(store: SessionStore, key: string, bytes: Uint8Array, expiresAt: EpochMs): Promise<WriteOutcome> {
  for (;;) {
    const held = await store.load(key)
    const written = held ? await store.replace(key, held.version, bytes, expiresAt) : { outcome: 'missing' as const }
    if (written.outcome !== 'conflict') return written
  }
}

const longLived = (at: EpochMs) => (at + 1) as EpochMs

test.each<[flaw: string, spoil: (store: SessionStore, clock: Clock) => Partial<SessionStore>, caughtBy: string]>([
  ['replace does not compare', (store) => ({
    replace: (key, _expected, bytes, expiresAt) => overwrite(store, key, bytes, expiresAt),
  }), 'replace with an older version is a conflict and changes nothing'],
  ['replace compares, then writes, in two steps (the lost update)', (store) => ({
    replace: async (key, expected, bytes, expiresAt) => {
      const held = await store.load(key)
      if (held?.version !== expected) return held ? { outcome: 'conflict' } : { outcome: 'missing' }
      return overwrite(store, key, bytes, expiresAt)
    },
  }), 'of 32 writers holding one version, exactly one wins'],
  ['create looks, then writes, in two steps', (store) => ({
    create: async (key, bytes, expiresAt) => {
      if (await store.load(key)) return { outcome: 'conflict' }
      const created = await store.create(key, bytes, expiresAt)
      return created.outcome === 'conflict' ? overwrite(store, key, bytes, expiresAt) : created
    },
  }), 'of 32 creates of one key, exactly one wins'],
  ['destroy leaves no tombstone', (store, clock) => ({
    destroy: (key) => store.destroy(key, clock()),
  }), 'on a tombstone neither create nor replace nor touch brings anything back'],
  ['destroy does not say what it ended', (store) => ({
    destroy: async (key, until) => { await store.destroy(key, until); return undefined },
  }), 'destroy returns the live record it ended'],
  ['a record lives a millisecond too long', (store) => ({
    create: (key, bytes, expiresAt) => store.create(key, bytes, longLived(expiresAt)),
  }), 'a record lives to the last millisecond and not one longer'],
  ['expiry is by the machine\'s clock', () => createMemoryStore({ clock: systemClock }), 'a record lives to the last millisecond and not one longer'],
  ['touch makes a new version', (store) => ({
    touch: async (key, expiresAt) => {
      const held = await store.load(key)
      if (held) await store.replace(key, held.version, held.bytes, expiresAt)
    },
  }), 'touch keeps bytes and version'],
  ['values pass through UTF-8', (store) => ({
    create: (key, bytes, expiresAt) => store.create(key, Buffer.from(Buffer.from(bytes).toString()), expiresAt),
  }), 'all 256 byte values survive, in any order and at both ends'],
  ['keys are folded to one case', (store) => ({
    create: (key, bytes, expiresAt) => store.create(key.toLowerCase(), bytes, expiresAt),
    load: (key) => store.load(key.toLowerCase()),
  }), 'keys that differ in case, length or trailing space are different keys'],
  ['long keys are cut', (store) => ({
    create: (key, bytes, expiresAt) => store.create(key.slice(0, 40), bytes, expiresAt),
    load: (key) => store.load(key.slice(0, 40)),
  }), 'keys that differ in case, length or trailing space are different keys'],
  ['versions repeat', (store) => ({
    create: async (...args) => ({ ...await store.create(...args), version: '1' as Version }),
  }), 'replace with the current version stores, and the next load sees it'],
])('the suite catches a store where %s', async (_flaw, spoil, caughtBy) => {
  expect(await failuresOf(spoil)).toContain(caughtBy)
})
