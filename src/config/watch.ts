import { type FSWatcher, watch } from 'node:fs'
import { readFile, readlink, stat } from 'node:fs/promises'
import { dirname, relative, resolve, sep } from 'node:path'
import { digestOf, type FilesRead } from './files-read.ts'

export interface WatchOptions {
  /** Changes within this time count as one. */
  readonly settleMs?: number
  /** Files are also looked at this often, for file systems that tell nothing (NFS, some bind mounts). */
  readonly pollMs?: number
}

const MAX_LINKS = 16

/**
 * Calls `onChange` after the content of any file has become another than the one that was read, however long ago, and never while a call
 * of it is running. Content counts, not time stamps, and the directories are watched, not the files: so an editor that renames a new file
 * into place, and a Kubernetes volume that swaps its `..data` link, are seen. A file that vanishes is a change too. Returns what ends the
 * watching.
 */
export function watchConfig(read: FilesRead, onChange: () => void | Promise<void>, options: WatchOptions = {}): () => void {
  const { settleMs = 200, pollMs = 10_000 } = options
  const files = [...read.keys()]
  /** By directory and inode: a directory made anew under its old name is another one. */
  const watchers = new Map<string, FSWatcher>()
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let known = [...read.values()].join()
  let queue: Promise<unknown> = look().then((seen) => seen === known || settle())

  /** Watches every directory a file's name leads through and returns the digests of all contents. */
  async function look(): Promise<string> {
    const directories = new Map<string, string>()
    for (const directory of (await Promise.all(files.map(directoriesOf))).flat()) directories.set(await identityOf(directory), directory)
    follow(directories)    // before reading, so that no change falls between the two
    const contents = await Promise.all(files.map((file) => readFile(file).catch(() => undefined)))
    return contents.map(digestOf).join()
  }

  function follow(directories: ReadonlyMap<string, string>): void {
    for (const identity of watchers.keys()) if (stopped || !directories.has(identity)) forget(identity)
    for (const [identity, directory] of directories) if (!stopped && !watchers.has(identity)) open(identity, directory)
  }

  function open(identity: string, directory: string): void {
    try {
      watchers.set(identity, watch(directory, { persistent: false }, settle).on('error', () => forget(identity)))
    } catch {
      // Gone, or out of inotify watches: the poll sees to it.
    }
  }

  function forget(identity: string): void {
    watchers.get(identity)?.close()
    watchers.delete(identity)
  }

  function settle(): void {
    clearTimeout(timer)
    if (!stopped) timer = setTimeout(check, settleMs).unref()
  }

  function check(): void {
    queue = queue.then(compare, compare)
  }

  async function compare(): Promise<void> {
    if (stopped) return
    const seen = await look()
    if (stopped || seen === known) return
    known = seen
    await onChange()
  }

  const poll = setInterval(check, pollMs).unref()
  return () => {
    stopped = true
    clearTimeout(timer)
    clearInterval(poll)
    follow(new Map())
  }
}

async function identityOf(directory: string): Promise<string> {
  const inode = await stat(directory).then(({ dev, ino }) => `${dev}.${ino}`, () => 'absent')
  return `${directory}\0${inode}`
}

/** The directories in which a link on the way to the file, or the file itself, could be replaced. None of their names has a link in it. */
async function directoriesOf(file: string): Promise<string[]> {
  const directories: string[] = []
  let path = resolve(file)
  for (let links = 0; links < MAX_LINKS; links++) {
    const link = await firstLinkOn(path)
    if (link === undefined) break
    directories.push(dirname(link.at))
    path = resolve(dirname(link.at), link.to, relative(link.at, path))
  }
  return [...directories, dirname(path)]
}

async function firstLinkOn(path: string): Promise<{ at: string; to: string } | undefined> {
  const steps = path.split(sep).slice(1)
  for (let length = 1; length <= steps.length; length++) {
    const at = sep + steps.slice(0, length).join(sep)
    const to = await readlink(at).catch(() => undefined)
    if (to !== undefined) return { at, to }
  }
  return undefined
}
