import autocannon from 'autocannon'
import type { LoadRequest, LoadResult } from './load.ts'

/** The load generator's process: runs autocannon for each request its parent sends, and answers with the result. */
process.on('message', (request: LoadRequest) => {
  void run(request).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')

async function run({ url, connections, seconds, status, headers }: LoadRequest): Promise<LoadResult> {
  const latencies: number[] = []
  let client = 0
  const startedAt = performance.now()
  let expected = 0
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon({
      url,
      connections,
      duration: seconds,
      sampleInt: 100,                                           // how often it looks whether the time is over
      setupClient: (one) => one.setHeaders(headers[client++ % headers.length] ?? {}),
    }, (error: Error | null, value) => error ? reject(error) : resolve(value))
    running.on('response', (_client, got, _bytes, milliseconds) => {
      latencies.push(milliseconds)
      if (got === status) expected++
    })
  })
  const elapsedSeconds = (performance.now() - startedAt) / 1000
  const sorted = Float64Array.from(latencies).sort()
  return {
    answered: latencies.length,
    failed: latencies.length - expected + result.errors + result.timeouts + result.mismatches,
    perSecond: latencies.length / elapsedSeconds,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  }
}
