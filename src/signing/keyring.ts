/** Keys by id: the current one signs, all verify. Rotation is a new ring; a ring never changes. */
export interface KeyRing<Key extends { readonly id: string }> {
  readonly current: Key
  byId(id: string): Key | undefined
  readonly all: readonly Key[]
}

/** The first key is the current one. Throws RangeError on an empty list. */
export function createKeyRing<Key extends { readonly id: string }>(keys: readonly Key[]): KeyRing<Key> {
  const [current] = keys
  if (!current) throw new RangeError('a key ring needs at least one key')
  const byId = new Map(keys.map((key) => [key.id, key]))
  return { current, all: keys, byId: (id) => byId.get(id) }
}
