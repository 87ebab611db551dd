import type { Measured } from './rounds.ts'
import { cpuRatio } from './statistics.ts'

/** A promise about CPU per request: `id` costs at most `atMost` times what `against` costs in the same run. */
export interface Bar {
  readonly id: string
  readonly against: string
  readonly atMost: number
}

export const BARS: readonly Bar[] = [
  { id: 'gate-none', against: 'http-proxy', atMost: 0.65 },
  { id: 'gate-memory-read', against: 'http-proxy', atMost: 0.85 },
  { id: 'gate-file-read', against: 'http-proxy', atMost: 0.85 },
  { id: 'gate-redis-read', against: 'http-proxy', atMost: 1.0 },
  { id: 'gate-redis-read', against: 'express-read', atMost: 0.25 },
  { id: 'gate-redis-write', against: 'http-proxy', atMost: 1.2 },
  { id: 'gate-redis-write', against: 'express-write', atMost: 0.3 },
  { id: 'gate-file-read', against: 'gate-none', atMost: 1.25 },
  { id: 'gate-redis-read', against: 'gate-none', atMost: 1.4 },
  { id: 'gate-redis-write', against: 'gate-none', atMost: 1.8 },
  { id: 'gate-flask-read', against: 'gate-memory-read', atMost: 1.5 },
]

/** How a run did on one bar; `ratio` is undefined when one of the two was not measured. */
export interface BarResult extends Bar {
  readonly ratio: number | undefined
  readonly met: boolean | undefined
}

export function judge(all: readonly Measured[]): BarResult[] {
  return BARS.map((bar) => {
    const ratio = cpuRatio(all, bar.id, bar.against)
    return { ...bar, ratio, met: ratio === undefined ? undefined : ratio <= bar.atMost }
  })
}
