import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Where a process of the benchmark runs: what is measured has a core to itself, everything else shares the others; `any` is all of them. */
export type Seat = 'measured' | 'beside' | 'any'

const seats = seatsOf(allowedCores())

/** Whether processes are kept to their seats: not with a single core, nor without taskset (util-linux). */
export const hasSeats = seats !== undefined

/**
 * Keeps a process, with all of its threads, to its seat. Otherwise the scheduler moves it about and lets what loads it push it aside,
 * which costs it its caches: as much as what is to be measured, and never the same twice. A process that has ended already is left to
 * whoever waits for it.
 */
export function seat(pid: number, at: Seat): void {
  if (seats) spawnSync('taskset', ['-acp', seats[at], String(pid)], { stdio: 'ignore' })
}

function seatsOf([first, ...others]: readonly number[]): Record<Seat, string> | undefined {
  if (first === undefined || others.length === 0 || spawnSync('taskset', ['-V']).status !== 0) return undefined
  return { measured: String(first), beside: others.join(','), any: [first, ...others].join(',') }
}

/** The cores this process may use, from Linux' `Cpus_allowed_list` ("0-3,8"; proc_pid_status(5)); none elsewhere. */
function allowedCores(): number[] {
  try {
    const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return list.split(',').flatMap((range) => {
      const [from = NaN, to = from] = range.split('-').map(Number)
      return Array.from({ length: to - from + 1 }, (_, i) => from + i)
    })
  } catch {
    return []
  }
}
