import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { hasSeats } from './cores.ts'

/** Where and on what code a run was made. `load` is the load average at its start: above half a core, distrust the run. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly load: number
  readonly commit: string
  /** What is measured has a core to itself. */
  readonly hasSeats: boolean
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    commit: commit(),
    hasSeats,
  }
}

export function machineText({ cpu, cores, memoryGiB, kernel, node, commit }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node.js ${node}, commit ${commit}`
}

function commit(): string {
  try {
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '-uno') === '' ? '' : ', changed since')
  } catch {
    return 'unknown'
  }
}

function git(...args: string[]): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
