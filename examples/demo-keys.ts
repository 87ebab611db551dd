import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The secret in `directory`/`name`, made on the first run (256 random bits, base64url, readable by the owner only). Kept, so that
 * a restart still opens the sessions of before.
 */
export function keepSecret(directory: string, name: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, name)
  try {
    writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8').trim()
}
