import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What a process holds open: the descriptors' targets, such as `socket:[123]`, by number. Empty when it is gone. Linux only. */
export function openDescriptors(pid: number | 'self' = 'self'): Map<string, string> {
  const directory = `/proc/${pid}/fd`
  const open = new Map<string, string>()
  for (const number of attempt(() => readdirSync(directory)) ?? []) {
    const target = attempt(() => readlinkSync(`${directory}/${number}`))
    if (target !== undefined) open.set(number, target)          // else closed since, as the listing's own always is
  }
  return open
}

/** Resident memory of a process in bytes; 0 when it is gone. */
export function residentBytes(pid: number | 'self' = 'self'): number {
  const status = attempt(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? ''
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

/** The targets in `after` that `before` does not have, with the addresses of TCP sockets, for a message a person can use. */
export function describeNew(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>, pid: number | 'self' = 'self'): string[] {
  const known = [...before.values()]
  const fresh = [...after.values()].filter((target) => {
    const at = known.indexOf(target)
    if (at >= 0) known.splice(at, 1)                 // a target may be open more than once
    return at < 0
  })
  const addresses = tcpAddresses(pid)
  return fresh.map((target) => {
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    const address = inode === undefined ? undefined : addresses.get(inode)
    return address === undefined ? target : `${target} (${address})`
  })
}

/** `port -> port` by socket inode, from /proc/net/tcp. */
function tcpAddresses(pid: number | 'self'): Map<string, string> {
  const addresses = new Map<string, string>()
  for (const table of ['tcp', 'tcp6']) {
    const [, ...rows] = (attempt(() => readFileSync(`/proc/${pid}/net/${table}`, 'latin1')) ?? '').trim().split('\n')
    for (const row of rows) {
      const [, local = '', remote = '', , , , , , , inode = ''] = row.trim().split(/\s+/)
      addresses.set(inode, `port ${portOf(local)} to ${portOf(remote)}`)
    }
  }
  return addresses
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '0', 16)
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}
