import { nextMessage, startScript, type Child } from './child.ts'

/** One stretch of load. `headers` are dealt out to the connections in turn, so that each can be a visitor of its own. */
export interface LoadRequest {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** The status every answer must have. */
  readonly status: number
  readonly headers: readonly Readonly<Record<string, string>>[]
}

/** What came back. `failed` counts answers with another status, and connection errors; any is a reason to distrust the run. */
export interface LoadResult {
  readonly answered: number
  readonly failed: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** autocannon in a process of its own, so that neither the measured process nor the runner pays for it. */
export interface LoadGenerator {
  run(request: LoadRequest): Promise<LoadResult>
  stop(): Promise<void>
}

export async function startLoadGenerator(): Promise<LoadGenerator> {
  const child: Child = await startScript('load-worker')
  await nextMessage<string>(child)
  return {
    run: (request) => {
      const answer = nextMessage<LoadResult>(child)
      child.process.send(request)
      return answer
    },
    stop: () => child.stop(),
  }
}
