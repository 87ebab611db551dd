import type { Metrics } from '../../src/metrics.ts'

/** The value of a counter or gauge with exactly these labels; 0 when it was never set. */
export async function counterOf(metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const metric = (await metrics.registry.getMetricsAsJSON()).find((one) => one.name === name)
  if (!metric) throw new Error(`no metric ${name}`)
  const wanted = JSON.stringify(Object.entries(labels).sort())
  return metric.values.find((value) => JSON.stringify(Object.entries(value.labels).sort()) === wanted)?.value ?? 0
}
