import type { EpochMs } from './session/session.ts'

/** The current instant. Injected, so that tests own time. */
export type Clock = () => EpochMs

/** The only Date.now() in src. */
export const systemClock: Clock = () => Date.now() as EpochMs
