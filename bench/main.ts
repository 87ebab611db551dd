import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import { chartOf } from './chart.ts'
import type { StoreConfig } from './gateway-config.ts'
import { machineText } from './machine.ts'
import type { Report } from './report.ts'
import { runBench } from './run-bench.ts'
import { barsText, tableOf } from './table.ts'
import { MORE_TARGETS, TARGETS } from './targets.ts'
import { MissingError } from './world.ts'

export { runBench, type BenchOptions } from './run-bench.ts'
export { runOwnBench, type OwnBenchOptions } from './own-app.ts'

/** `npm run bench`: the exit code is 0, or 1 when a bar is missed under --check or something needed is missing. */
async function main(args: readonly string[]): Promise<number> {
  const flags = await yargs(args)
    .scriptName('npm run bench --')
    .usage('$0 [flags]\n\nCPU per request of sessiongate and of what it replaces, each in a process of its own, in interleaved rounds.')
    .option('rounds', { type: 'number', default: 5, describe: 'Rounds; the table shows medians over them' })
    .option('duration', { type: 'number', default: 3, describe: 'Seconds of load per target and round' })
    .option('warmup', { type: 'number', default: 7, describe: 'Seconds before them that do not count: less, and the compiler is still at work' })
    .option('concurrency', { type: 'number', default: 50, describe: 'Connections, each a visitor of its own' })
    .option('only', { type: 'string', describe: `Some targets, with commas: ${[...TARGETS, ...MORE_TARGETS].map(({ id }) => id).join(',')}` })
    .option('store', { type: 'string', array: true, describe: 'The "store" of a configuration, as JSON, for a server that runs already: adds two rows' })
    .option('json', { type: 'string', describe: 'Where to write the report', default: join('bench', 'results', 'latest.json') })
    .option('svg', { type: 'string', describe: 'Where to write the chart', default: join('bench', 'results', 'latest.svg') })
    .option('check', { type: 'boolean', default: false, describe: 'Exit with 1 when a bar is missed' })
    .strict().version(false).help().parseAsync()

  const options = {
    rounds: flags.rounds, seconds: flags.duration, warmupSeconds: flags.warmup, connections: flags.concurrency,
    ...(flags.only === undefined ? {} : { only: flags.only.split(',') }),
    stores: (flags.store ?? []).map((text) => JSON.parse(text) as StoreConfig),
  }
  const report = await runBench(options, (round, { id, cpuMicros, perSecond }) => {
    const cpu = cpuMicros?.toFixed(1) ?? '-'
    console.error(`round ${round}/${flags.rounds}  ${id.padEnd(20)} ${cpu.padStart(7)} us/req ${perSecond.toFixed(0).padStart(7)} req/s`)
  })
  save(flags.json, `${JSON.stringify(report, null, 2)}\n`)
  save(flags.svg, chartOf(report))
  console.log(terminalText(report))
  return flags.check && report.bars.some(({ met }) => met === false) ? 1 : 0
}

function terminalText(report: Report): string {
  const { rounds, seconds, connections } = report.options
  const busy = report.machine.load > 0.5 ? [`The machine was busy (load ${report.machine.load.toFixed(1)}) when the run began: trust the ratios, not the numbers.`] : []
  const seats = report.machine.hasSeats ? [] : ['Processes were moved between cores (one core, or no taskset of util-linux): a tenth more or less means nothing.']
  return [
    '', tableOf(report), '', barsText(report.bars), '',
    `Medians of ${rounds} interleaved rounds of ${seconds} s, ${connections} connections, 1 KB answers. CPU is the proxy process's, from /proc.`,
    machineText(report.machine), ...seats, ...busy,
  ].join('\n')
}

function save(file: string, text: string): void {
  mkdirSync(dirname(resolve(file)), { recursive: true })
  writeFileSync(file, text)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof MissingError ? `bench: ${error.message}` : error)
    return 1
  })
}
