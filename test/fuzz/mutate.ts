/** Random numbers that are the same for the same seed. */
export interface Random {
  /** A whole number from 0 to `below - 1`. */
  below(below: number): number
  of<T>(items: readonly T[]): T
}

/** xorshift32 (Marsaglia 2003). */
export function createRandom(seed: number): Random {
  let state = (seed >>> 0) || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  const below = (limit: number): number => next() % Math.max(1, limit)
  return { below, of: (items) => items[below(items.length)] as (typeof items)[number] }
}

const EDGES = [0, 1, 9, 10, 13, 32, 34, 47, 48, 57, 59, 61, 92, 127, 128, 160, 192, 255]

type Edit = (bytes: Buffer, random: Random, words: readonly Buffer[], others: readonly Buffer[]) => Buffer

function splice(bytes: Buffer, at: number, removed: number, added: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)])
}

/** A stretch of some bytes: short ones are likelier. */
function stretch(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length)
  return bytes.subarray(at, at + 1 + random.below(random.below(2) === 0 ? 4 : bytes.length - at))
}

const EDITS: readonly Edit[] = [
  (bytes, random, words) => splice(bytes, random.below(bytes.length + 1), 0, random.of(words)),
  (bytes, random, words) => {
    const word = random.of(words)
    return splice(bytes, random.below(bytes.length + 1), word.length, word)
  },
  (bytes, random) => splice(bytes, random.below(bytes.length), 1, Buffer.of(random.below(2) === 0 ? random.of(EDGES) : random.below(256))),
  (bytes, random) => splice(bytes, random.below(bytes.length), 1, Buffer.of((bytes[random.below(bytes.length)] ?? 0) ^ (1 << random.below(8)))),
  (bytes, random) => splice(bytes, random.below(bytes.length + 1), 0, Buffer.of(random.below(2) === 0 ? random.of(EDGES) : random.below(256))),
  (bytes, random) => splice(bytes, random.below(bytes.length), stretch(bytes, random).length, Buffer.alloc(0)),
  (bytes, random) => splice(bytes, random.below(bytes.length + 1), 0, stretch(bytes, random)),
  (bytes, random) => {
    const piece = stretch(bytes, random)
    return splice(bytes, random.below(bytes.length + 1), 0, Buffer.concat(Array.from({ length: 1 + random.below(20) }, () => piece)))
  },
  (bytes, random, _words, others) => splice(bytes, random.below(bytes.length + 1), random.below(2) * bytes.length, stretch(random.of(others), random)),
]

/** `bytes` after one to eight edits, at most `maxBytes` long. */
export function mutated(bytes: Buffer, random: Random, words: readonly Buffer[], others: readonly Buffer[], maxBytes: number): Buffer {
  let result = bytes
  for (let edits = 1 + random.below(random.below(2) === 0 ? 2 : 8); edits > 0; edits--) result = random.of(EDITS)(result, random, words, others)
  return result.subarray(0, maxBytes)
}
