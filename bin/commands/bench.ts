import { CommandError, UsageError } from '../errors.ts'

export interface BenchCommandOptions {
  readonly upstream: string
  readonly path: string
  readonly rounds: number
  readonly duration: number
  readonly concurrency: number
}

/** Measures the gateway in front of a running app, beside a bare proxy and no proxy, and prints the table. */
export async function runBenchCommand({ upstream, path, rounds, duration, concurrency }: BenchCommandOptions): Promise<number> {
  if (!URL.canParse(upstream) || !/^https?:/.test(upstream)) throw new UsageError('--upstream must be a URL such as http://127.0.0.1:5000')
  if (!path.startsWith('/')) throw new UsageError('--path must start with /')
  if (![rounds, duration, concurrency].every((number) => Number.isFinite(number) && number > 0)) throw new UsageError('--rounds, --duration and --concurrency must be numbers above zero')
  const [{ runOwnBench }, { tableOf }] = await Promise.all([import('../../bench/main.ts'), import('../../bench/table.ts')])
  const options = { upstream: new URL(upstream).origin, path, rounds, seconds: duration, warmupSeconds: 1, connections: concurrency }
  const report = await runOwnBench(options, (round, { id, perSecond }) => {
    process.stderr.write(`round ${round}/${rounds}  ${id.padEnd(20)} ${perSecond.toFixed(0).padStart(7)} req/s\n`)
  }).catch((error: unknown) => {
    throw error instanceof Error ? new CommandError(error.message, { cause: error }) : error
  })
  process.stdout.write(`${tableOf(report)}\n`)
  return 0
}
