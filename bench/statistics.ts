import type { Measured } from './rounds.ts'

/** The middle value; the mean of the two middle ones when their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The value that this part of the others does not exceed. NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}

/** A row of the report: medians over all stretches of load. CPU is that of the measured process, in microseconds per request. */
export interface Row {
  readonly id: string
  readonly label: string
  readonly cpuMicros: number | undefined
  /** The quartiles: half of the stretches lie between them. */
  readonly cpuSpread: readonly [low: number, high: number] | undefined
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssBytes: number | undefined
}

export function rowOf(measured: Measured, label: string): Row {
  const { samples } = measured
  const rss = samples.flatMap(({ peakRssBytes }) => peakRssBytes ?? [])
  const cpu = samples.flatMap(({ cpuMicros }) => cpuMicros ?? [])
  return {
    id: measured.id,
    label,
    cpuMicros: cpu.length === 0 ? undefined : median(cpu),
    cpuSpread: cpu.length === 0 ? undefined : [quantile(cpu, 0.25), quantile(cpu, 0.75)],
    perSecond: median(samples.map(({ perSecond }) => perSecond)),
    p50Ms: median(samples.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(samples.map(({ p99Ms }) => p99Ms)),
    peakRssBytes: rss.length === 0 ? undefined : Math.max(...rss),
  }
}

/** CPU per request of one target as a multiple of another's: the median of the ratios of stretches that belong together. Undefined without both. */
export function cpuRatio(all: readonly Measured[], id: string, against: string): number | undefined {
  const [one, other] = [id, against].map((wanted) => all.find((measured) => measured.id === wanted))
  if (!one || !other) return undefined
  const ratios = one.samples.flatMap(({ cpuMicros }, i) => {
    const base = other.samples[i]?.cpuMicros
    return cpuMicros === undefined || base === undefined ? [] : cpuMicros / base
  })
  return ratios.length === 0 ? undefined : median(ratios)
}
