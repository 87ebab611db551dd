import { readdir, readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { join } from 'node:path'
import type { EpochMs } from '../session/session.ts'
import type { MigrationSource, SourceRecord } from './source.ts'
import { SourceError } from './source.ts'

const EXPIRY_BYTES = 4
const MAX_BYTES = 1 << 20

/**
 * Flask-Session's filesystem (cachelib's FileSystemCache): a file per session, named by a hash of prefix and sid (MD5 in older
 * cachelib, SHA-256 since 0.10), that holds its expiry as a native uint32 of seconds (0: never) and a pickle.
 */
export async function openFileSource(directory: string): Promise<MigrationSource> {
  const names = (await readdir(directory).catch((error: unknown) => {
    throw new SourceError(`the directory to migrate from cannot be read: ${error instanceof Error ? error.message : 'unknown'}`)
  })).filter((name) => /^([0-9a-f]{32}|[0-9a-f]{64})$/.test(name))
  const lengths = new Set(names.map(({ length }) => length))
  if (lengths.size > 1) throw new SourceError('the directory holds files of two generations of cachelib (32 and 64 digits): the app opens the newer ones alone, so move the others away')

  return {
    by: lengths.has(64) ? 'sha256' : 'md5',
    total: names.length,
    async* records(): AsyncGenerator<SourceRecord> {
      for (const name of names) {
        const content = await readFile(join(directory, name)).catch(ifGone)
        if (!content || content.length <= EXPIRY_BYTES || content.length > MAX_BYTES) continue
        const seconds = endianness() === 'LE' ? content.readUInt32LE() : content.readUInt32BE()
        yield { name, bytes: content.subarray(EXPIRY_BYTES), expiresAt: seconds === 0 ? undefined : seconds * 1_000 as EpochMs }
      }
    },
    close: () => Promise.resolve(),
  }
}

/** The app works on while we read. */
function ifGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
