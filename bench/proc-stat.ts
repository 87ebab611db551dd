import { readdirSync, readFileSync } from 'node:fs'

/**
 * CPU time, user and system, that a process and all its present descendants have used so far, in microseconds.
 *
 * All threads count: garbage collection, libuv's pool and the threads of native drivers are part of what a request costs.
 * Read from /proc/<pid>/task/<tid>/schedstat, which counts nanoseconds; where the kernel lacks it, from utime and stime of
 * /proc/<pid>/stat, which count ticks of 10 ms. A process that has ended counts as 0.
 */
export function cpuMicrosOf(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + (threadMicros(member) ?? tickMicros(member)), 0)
}

/** The largest resident set a process has had, in bytes (VmHWM), summed over its present descendants. */
export function peakRssBytesOf(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + statusBytes(member, 'VmHWM'), 0)
}

/** The resident set of a process now, in bytes (VmRSS), summed over its present descendants. */
export function rssBytesOf(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + statusBytes(member, 'VmRSS'), 0)
}

function threadMicros(pid: number): number | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const nanos = threads.map((tid) => Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]))
    return nanos.reduce((sum, each) => sum + each, 0) / 1000
  } catch {
    return undefined
  }
}

const MICROS_PER_TICK = 10_000   // USER_HZ is 100 on every Linux that Node runs on

function tickMicros(pid: number): number {
  const fields = statFields(pid)
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * MICROS_PER_TICK
}

/** The fields of /proc/<pid>/stat from the third on (proc(5)): the second, the name, may itself hold spaces and brackets. */
function statFields(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

function statusBytes(pid: number, field: string): number {
  try {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(line?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** The process and everything it started, so that a gateway with workers is measured whole. */
function familyOf(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), Number(statFields(Number(name))[1]))
  }
  const family = [pid]
  for (const member of family) {
    for (const [child, parent] of parents) if (parent === member) family.push(child)
  }
  return family
}
