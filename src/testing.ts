/** What third parties need to test a store of their own: the contract as cases for any test runner. */
export { systemClock } from './clock.ts'
export type { Clock } from './clock.ts'
export { StoreUnavailableError } from './errors.ts'
export type { EpochMs, Version } from './session/session.ts'
export { storeConformance } from './stores/conformance.ts'
export type { ConformanceCase, ConformanceOptions } from './stores/conformance.ts'
export { StoreRefusal } from './stores/refusal.ts'
export type { SessionStore, StoredRecord, WriteOutcome } from './stores/store.ts'
