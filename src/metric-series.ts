import type { Metric, MetricObjectWithValues, MetricValue, MetricValueWithName, Registry } from 'prom-client'

/**
 * Metrics of the request path. prom-client hashes label objects on every call; here a call is a look-up and an addition, and the
 * registry is handed the values when somebody asks for them.
 */
export interface SeriesOptions {
  readonly name: string
  readonly help: string
  readonly registry: Registry
}

/** Counts by one or two labels. Label values must come from a bounded set. */
export interface Tally {
  add(first: string, second?: string | number): void
}

export function createTally(options: SeriesOptions, firstLabel: string, secondLabel?: string): Tally {
  const counts = new Map<string, Map<string | number, { value: number }>>()

  function values(): MetricValue<string>[] {
    return [...counts].flatMap(([first, seconds]) => [...seconds].map(([second, { value }]) => ({
      value, labels: secondLabel === undefined ? { [firstLabel]: first } : { [firstLabel]: first, [secondLabel]: second },
    })))
  }

  register(options, 'counter', values)
  return {
    add(first, second = '') {
      let seconds = counts.get(first)
      if (!seconds) counts.set(first, seconds = new Map<string | number, { value: number }>())
      const count = seconds.get(second)
      if (count) count.value++
      else seconds.set(second, { value: 1 })
    },
  }
}

/** How values are distributed over buckets with the given upper bounds, by one label. */
export interface Distribution {
  observe(label: string, value: number): void
}

interface Series {
  /** One more than bounds: the last is what lies above all. */
  readonly counts: number[]
  sum: number
}

export function createDistribution(options: SeriesOptions, label: string, bounds: readonly number[]): Distribution {
  const byLabel = new Map<string, Series>()

  function values(): MetricValueWithName<string>[] {
    return [...byLabel].flatMap(([value, { counts, sum }]) => {
      const labels = { [label]: value }
      let total = 0
      const buckets = counts.map((count, i) => ({
        value: total += count, labels: { ...labels, le: bounds[i] ?? '+Inf' }, metricName: `${options.name}_bucket`,
      }))
      return [...buckets, { value: sum, labels, metricName: `${options.name}_sum` }, { value: total, labels, metricName: `${options.name}_count` }]
    })
  }

  register(options, 'histogram', values)
  return {
    observe(value, amount) {
      let series = byLabel.get(value)
      if (!series) byLabel.set(value, series = { counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 })
      let bucket = 0
      while (bucket < bounds.length && amount > (bounds[bucket] as number)) bucket++
      series.counts[bucket] = (series.counts[bucket] as number) + 1
      series.sum += amount
    },
  }
}

/** prom-client needs no more of a metric than its name and `get`, also between the processes of a cluster. */
function register({ name, help, registry }: SeriesOptions, type: 'counter' | 'histogram', values: () => MetricValue<string>[]): void {
  const get = (): Promise<MetricObjectWithValues<MetricValue<string>>> =>
    Promise.resolve({ name, help, type, values: values(), aggregator: 'sum' } as never)
  registry.registerMetric({ name, get } as unknown as Metric)
}
