import { networkOf } from '../http/addresses.ts'

/** A token bucket per client. */
export interface RateLimiter {
  /** Takes one token; false when the address, or the IPv6 network it is from, has none left. */
  allows(address: string): boolean
}

const MAX_CLIENTS = 100_000

interface Bucket {
  tokens: number
  filledAt: number
}

/** `perSecond` tokens a second, with a burst of twice as many. Memory is bounded: the longest unseen clients are forgotten. */
export function createRateLimiter(perSecond: number): RateLimiter {
  const burst = perSecond * 2
  const buckets = new Map<string, Bucket>()
  return {
    allows(address) {
      const client = networkOf(address)
      const now = performance.now()
      const bucket = buckets.get(client) ?? { tokens: burst, filledAt: now }
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.filledAt) / 1_000) * perSecond)
      bucket.filledAt = now
      buckets.delete(client)
      buckets.set(client, bucket)
      if (buckets.size > MAX_CLIENTS) buckets.delete(buckets.keys().next().value as string)
      if (bucket.tokens < 1) return false
      bucket.tokens--
      return true
    },
  }
}
