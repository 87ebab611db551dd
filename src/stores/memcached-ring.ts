import { createHash } from 'node:crypto'

const POINTS_PER_SERVER = 160
const POINTS_PER_DIGEST = 4

/**
 * Consistent hashing as in libketama: which server holds a key, the same on every gateway with the same list, in whatever order.
 * Adding a server moves only the keys it takes over.
 */
export function createRing(servers: readonly string[]): (key: string) => string {
  const [only] = servers
  if (servers.length === 1 && only !== undefined) return () => only
  const points = servers.flatMap(pointsOf).sort((one, other) => one.at - other.at || (one.server < other.server ? -1 : 1))
  let last = { key: '', server: '' }                                 // a call asks for its key more than once

  return (key) => {
    if (last.key !== key) last = { key, server: serverOf(key) }
    return last.server
  }

  function serverOf(key: string): string {
    const at = createHash('md5').update(key).digest().readUInt32LE(0)
    let low = 0
    let high = points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (points[middle]!.at < at) low = middle + 1
      else high = middle
    }
    return points[low % points.length]!.server
  }
}

function pointsOf(server: string): { readonly at: number; readonly server: string }[] {
  return Array.from({ length: POINTS_PER_SERVER / POINTS_PER_DIGEST }, (_, index) => createHash('md5').update(`${server}-${index}`).digest())
    .flatMap((digest) => Array.from({ length: POINTS_PER_DIGEST }, (_, part) => ({ at: digest.readUInt32LE(4 * part), server })))
}
