import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { weaknessOf } from './keys-schema.ts'

/** `$XDG_STATE_HOME/sessiongate`, else `~/.local/state/sessiongate` (XDG Base Directory Specification 0.8). */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  const state = env.XDG_STATE_HOME
  return join(state?.startsWith('/') ? state : join(env.HOME || homedir(), '.local', 'state'), 'sessiongate')
}

/** 256 random bits, base64url, 43 characters: what every secret of ours is. */
export function newSecret(): string {
  for (;;) {
    const secret = randomBytes(32).toString('base64url')
    if (weaknessOf(secret) === undefined) return secret
  }
}

/**
 * Makes `file` with `content`, by default readable by its owner alone, whole or not at all; false when it is there already, and then it is left as
 * it is. Of several processes doing this at once, one makes it and all find the same content.
 */
export async function createFile(file: string, content: string, mode = 0o600): Promise<boolean> {
  const draft = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`
  await using handle = await open(draft, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
    await link(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(draft)
  }
}

/** The secret in `directory`/`name`, made on first use. */
export async function keptSecret(directory: string, name: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, name)
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known === undefined) await createFile(file, `${newSecret()}\n`)
  return (known ?? await readFile(file, 'utf8')).trim()
}
