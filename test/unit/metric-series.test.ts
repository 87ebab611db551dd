import { AggregatorRegistry, Registry } from '../../src/prometheus.ts'
import { expect, test } from 'vitest'
import { createDistribution, createTally } from '../../src/metric-series.ts'
import { createMetrics } from '../../src/metrics.ts'

test('a tally counts by its labels', async () => {
  const registry = new Registry()
  const tally = createTally({ name: 'calls_total', help: 'Calls', registry }, 'operation', 'outcome')
  tally.add('load', 'hit')
  tally.add('load', 'hit')
  tally.add('load', 'absent')

  expect(await registry.metrics()).toBe([
    '# HELP calls_total Calls', '# TYPE calls_total counter',
    'calls_total{operation="load",outcome="hit"} 2', 'calls_total{operation="load",outcome="absent"} 1', '',
  ].join('\n'))
})

test('a distribution counts a value in every bucket from the first bound that holds it', async () => {
  const registry = new Registry()
  const seconds = createDistribution({ name: 'seconds', help: 'Time', registry }, 'route', [0.1, 1])
  for (const value of [0.1, 0.5, 2]) seconds.observe('*/', value)

  expect(await registry.metrics()).toBe([
    '# HELP seconds Time', '# TYPE seconds histogram',
    'seconds_bucket{route="*/",le="0.1"} 1', 'seconds_bucket{route="*/",le="1"} 2', 'seconds_bucket{route="*/",le="+Inf"} 3',
    'seconds_sum{route="*/"} 2.6', 'seconds_count{route="*/"} 3', '',
  ].join('\n'))
})

test('the values of several processes add up', async () => {
  const workers = [createMetrics(() => 0), createMetrics(() => 0)]
  for (const { request, phase } of workers) {
    request('*/', 200, 0.002)
    phase('open', 0.002)
  }
  const text = await AggregatorRegistry.aggregate(await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()))).metrics()

  expect(text).toContain('sessiongate_requests_total{route="*/",status="200"} 2\n')
  expect(text).toContain('sessiongate_request_seconds_count{route="*/"} 2\n')
  expect(text).toMatch(/sessiongate_phase_seconds_bucket\{.*le="0.0025".*\} 2\n/)
})

test('of workers that watch one backend, its evictions are counted once', async () => {
  const workers = [createMetrics(() => 0), createMetrics(() => 0)]
  for (const [at, metrics] of workers.entries()) {
    metrics.storeEvicted(5 - at)
    metrics.webSockets(3)
  }
  const text = await AggregatorRegistry.aggregate(await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()))).metrics()
  expect(text).toContain('sessiongate_store_evictions_total 5\n')
  expect(text).toContain('sessiongate_websockets_open 6\n')
})
