import { judge, type BarResult } from './bars.ts'
import type { Machine } from './machine.ts'
import type { Measured, RoundOptions } from './rounds.ts'
import { cpuRatio, rowOf, type Row } from './statistics.ts'

/** A run, as it is written to JSON. Times in the unit the name says; ratios are medians of the ratios of neighbouring stretches of load. */
export interface Report {
  readonly at: string
  readonly machine: Machine
  readonly options: RoundOptions
  readonly rows: readonly ReportRow[]
  readonly bars: readonly BarResult[]
  readonly measured: readonly Measured[]
}

export interface ReportRow extends Row {
  readonly againstHttpProxy: number | undefined
  /** Of a gateway: what the session adds. */
  readonly againstNoSession: number | undefined
}

export function reportOf(
  measured: readonly Measured[], labels: ReadonlyMap<string, string>, machine: Machine, options: RoundOptions,
): Report {
  const rows = measured.map((one) => ({
    ...rowOf(one, labels.get(one.id) ?? one.id),
    againstHttpProxy: cpuRatio(measured, one.id, 'http-proxy'),
    againstNoSession: one.id.startsWith('gate-') ? cpuRatio(measured, one.id, 'gate-none') : undefined,
  }))
  return { at: new Date().toISOString(), machine, options, rows, bars: judge(measured), measured }
}
