import type { EpochMs } from '../../src/session/session.ts'

/** A clock the test moves; it starts at the real time, so that cookies' dates mean something to a browser. */
export interface MovingClock {
  (): EpochMs
  forward(ms: number): void
}

export function movingClock(): MovingClock {
  let now = Math.floor(Date.now() / 1_000) * 1_000
  return Object.assign(() => now as EpochMs, { forward: (ms: number) => { now += ms } })
}
