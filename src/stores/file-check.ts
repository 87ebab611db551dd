import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { StoreRefusal } from './refusal.ts'

const PAGE_HEADER_BYTES = 24
const MAGIC = 0xbeefc0de
const META_BYTES = 160
const OFFSET = { version: 28, pageSize: 48, lastPage: 144, transaction: 152 } as const
const SMALLEST_PAGE = 512
const LARGEST_PAGE = 65_536

/**
 * Looks at data.mdb before LMDB maps it: another program's file gets a clear error, and one that lost its tail would otherwise
 * kill the process (SIGBUS) at the first read of a page that is gone.
 */
export function assertUsable(directory: string): void {
  const path = join(directory, 'data.mdb')
  if (!existsSync(path)) return
  const file = openSync(path, 'r')
  try {
    const sizeBytes = fstatSync(file).size
    if (sizeBytes > 0) assertWhole(path, file, sizeBytes)
  } finally {
    closeSync(file)
  }
}

function assertWhole(path: string, file: number, sizeBytes: number): void {
  const first = readMeta(file, 0)
  if (!first) throw new StoreRefusal(`${path} is not an LMDB database; move it away or choose another directory`)
  const { pageSize } = first
  const metas = [first, readMeta(file, pageSize)].filter((meta) => meta !== undefined)
  const latest = metas.reduce((one, other) => other.transaction > one.transaction ? other : one)
  // Pages that were allocated and freed at once are never written, so a sound file may be a little short.
  const expectedBytes = Number(latest.lastPage + 1n) * pageSize
  if (metas.length < 2 || sizeBytes < expectedBytes / 2) {
    throw new StoreRefusal(`${path} was cut: it has ${sizeBytes} bytes of about ${expectedBytes}; restore it or move it away`)
  }
}

function readMeta(file: number, position: number): { pageSize: number; lastPage: bigint; transaction: bigint } | undefined {
  const meta = Buffer.alloc(META_BYTES)
  if (readSync(file, meta, 0, META_BYTES, position) < META_BYTES) return undefined
  if (meta.readUInt32LE(PAGE_HEADER_BYTES) !== MAGIC) return undefined
  const pageSize = meta.readUInt32LE(OFFSET.pageSize)
  if (pageSize < SMALLEST_PAGE || pageSize > LARGEST_PAGE) return undefined
  return { pageSize, lastPage: meta.readBigUInt64LE(OFFSET.lastPage), transaction: meta.readBigUInt64LE(OFFSET.transaction) }
}
