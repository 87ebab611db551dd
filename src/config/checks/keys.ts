import type { Config } from '../schema.ts'
import type { Judge } from './judge.ts'

/** A secret that serves two purposes lets whoever holds it for one forge the other: an app could sign its users' cookies. */
export function checkKeys(config: Config, judge: Judge): void {
  const seen = new Map<string, string>()
  for (const { path, secret } of secretsOf(config)) {
    const earlier = seen.get(secret)
    if (earlier === undefined) seen.set(secret, path)
    else judge.problem(path, `is the same secret as ${earlier}; every key needs its own (make one with "sessiongate keys generate")`, earlier)
  }
}

interface PlacedSecret {
  readonly path: string
  readonly secret: string
}

function secretsOf({ keys, upstreams }: Config): PlacedSecret[] {
  const place = (path: string, ring: readonly object[]): PlacedSecret[] => ring.flatMap((key, index) => {
    const secret = 'secret' in key ? key.secret : 'privateKey' in key ? key.privateKey : undefined
    return typeof secret === 'string' ? [{ path: `${path}.${index}.${'secret' in key ? 'secret' : 'privateKey'}`, secret: secret.trim() }] : []
  })
  return [
    ...place('keys.cookie', keys.cookie),
    ...place('keys.assertion', keys.assertion),
    ...place('keys.record', keys.record),
    ...Object.entries(upstreams).flatMap(([name, upstream]) => place(`upstreams.${name}.mutationKeys`, upstream.mutationKeys)),
  ]
}
