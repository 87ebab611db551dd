// A store as somebody else would write it: plain JavaScript, knowing of the gateway only what docs/stores.md says.
// `options.shelf` names the Map that all its handles in this process share.
import { randomUUID } from 'node:crypto'

const shelves = new Map()

/** @type {import('../../../src/stores/custom.ts').OpenCustomStore} */
export default function open(options, { clock }) {
  const name = String(options.shelf)
  if (!shelves.has(name)) shelves.set(name, new Map())
  const shelf = shelves.get(name)

  const held = (key) => {
    const entry = shelf.get(key)
    return entry && entry.expiresAt > clock() ? entry : undefined
  }
  const recordOf = (entry) => entry?.bytes && { bytes: Buffer.from(entry.bytes), version: entry.version, expiresAt: entry.expiresAt }
  const put = (key, bytes, expiresAt) => {
    const version = randomUUID()
    shelf.set(key, { bytes: bytes && Buffer.from(bytes), version, expiresAt })
    return { outcome: 'stored', version }
  }
  const refusal = (entry) => entry?.bytes ? { outcome: 'conflict', current: recordOf(entry) } : { outcome: 'missing' }

  return {
    kind: 'shelf',
    load: async (key) => recordOf(held(key)),
    create: async (key, bytes, expiresAt) => held(key) ? refusal(held(key)) : put(key, bytes, expiresAt),
    async replace(key, expected, bytes, expiresAt) {
      const entry = held(key)
      return entry?.bytes && entry.version === expected ? put(key, bytes, expiresAt) : refusal(entry)
    },
    async touch(key, expiresAt) {
      const entry = held(key)
      if (entry?.bytes) entry.expiresAt = expiresAt
    },
    async destroy(key, tombstoneUntil) {
      const entry = held(key)
      put(key, undefined, entry && !entry.bytes ? Math.max(entry.expiresAt, tombstoneUntil) : tombstoneUntil)
      return recordOf(entry)
    },
    ping: async () => {},
    close: async () => {},
  }
}
