/** Remembers values by key for a while, within a bound. */
export interface Recent<T> {
  get(key: string): T | undefined
  /** `weight`: what it takes, in the unit of the bound. */
  set(key: string, value: T, weight: number): void
}

/** Two generations: when the young one weighs `maxWeight` it becomes the old one. So a hit costs one look-up or two, and no order is kept. */
export function createRecent<T>(maxWeight: number): Recent<T> {
  let young = new Map<string, T>()
  let old = new Map<string, T>()
  let weighed = 0
  return {
    get: (key) => young.get(key) ?? old.get(key),
    set(key, value, weight) {
      if (weighed + weight > maxWeight) {
        old = young
        young = new Map()
        weighed = 0
      }
      young.set(key, value)
      weighed += weight
    },
  }
}
