import type { Clock } from '../clock.ts'
import type { ConformanceBench } from './conformance-bench.ts'
import { createBench } from './conformance-bench.ts'
import { expiryCases } from './conformance-expiry.ts'
import { historyCases } from './conformance-history.ts'
import { raceCases } from './conformance-races.ts'
import { recordCases } from './conformance-records.ts'
import { valueCases } from './conformance-values.ts'
import type { SessionStore } from './store.ts'

export interface ConformanceOptions {
  /**
   * Opens one handle on the backend under test. Each case opens its own and closes it. The store must take the time from
   * `clock` alone; it starts at the present and only moves on, by minutes.
   */
  readonly open: (clock: Clock) => Promise<SessionStore> | SessionStore
  /** Whether two handles see the same records. Default true; false for a store that lives in one process. */
  readonly shared?: boolean
  /** The largest record the backend takes, bytes. Default 1 MiB. */
  readonly maxValueBytes?: number
  /** Whether the store must have a `scan`. Default false: one that is there is tested, one that is not is no fault. */
  readonly scans?: boolean
}

/** One promise of the SessionStore contract. `run` throws (an AssertionError where the promise is broken). */
export interface ConformanceCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** A case as it is written down: what it promises, and how that is shown on an open store. */
export type CaseTable = readonly (readonly [name: string, run: (bench: ConformanceBench) => Promise<void>])[]

/**
 * The contract of SessionStore, as cases for any test runner:
 *
 *     for (const { name, run } of storeConformance({ open })) test(name, run)
 *
 * The cases are independent, use keys of their own, and may run against a backend that holds other data.
 */
export function storeConformance(options: ConformanceOptions): ConformanceCase[] {
  const tables: CaseTable[] = [recordCases, valueCases, expiryCases, raceCases, historyCases]
  return tables.flat().map(([name, check]) => ({
    name,
    run: async () => {
      const bench = await createBench(options)
      try {
        await check(bench)
      } finally {
        await bench.close()
      }
    },
  }))
}
