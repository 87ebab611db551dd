import { randomBytes } from 'node:crypto'
import { readFile, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { createFile } from '../../src/config/state-directory.ts'
import { CommandError } from '../errors.ts'
import { keyFileContent, newKey, ringEntry, type Ring } from '../new-key.ts'
import { readRing, withEntry, withLastFirst, withoutLast, type RingText } from '../ring-text.ts'

export interface KeysRotateOptions {
  readonly config: string
  readonly ring: Ring
  readonly step: 'publish' | 'promote' | 'retire'
}

/** The file's new text, what to tell the operator, and a key file to take back when the text is refused. */
interface Step {
  readonly text: string
  readonly said: string
  readonly written?: string | undefined
}

/**
 * One step of a rotation in the file: `publish` adds a key that verifies, `promote` lets the newest sign, `retire` drops the last one,
 * which no longer signs. Between two steps every gateway reloads, so that no one ever meets a key it does not know. Every other line
 * stays as it is; the result is checked before it replaces the file.
 */
export async function runKeysRotate({ config, ring, step }: KeysRotateOptions): Promise<number> {
  await loadConfig({ file: config })
  const before = await readFile(config, 'utf8')
  const keys = readRing(before, ring)
  if (keys === undefined) throw new CommandError(`keys.${ring} in ${config} is not a list with one key after a "-" on each line, so it is left for you to edit; see sessiongate keys generate`)
  const done = step === 'publish' ? await publish(keys, ring, dirname(resolve(config))) : step === 'promote' ? promote(keys, ring) : retire(keys, ring)
  try {
    await loadConfig({ file: config, text: done.text })
    await replaceFile(await realpath(config), done.text)
  } catch (error) {
    if (done.written !== undefined) await unlink(done.written)
    throw error
  }
  process.stdout.write(`${done.said}\n`)
  return 0
}

/** The new key goes last and its secret to where its siblings keep theirs: a file beside theirs, or inline. */
async function publish(keys: RingText, ring: Ring, baseDir: string): Promise<Step> {
  const sibling = keys.entries.at(-1)
  const key = newKey(ring, sibling?.alg ?? 'HS256')
  const siblingFile = key.alg === 'HS256' ? sibling?.secretFile : sibling?.privateKeyFile
  const isPlain = siblingFile !== undefined && !siblingFile.includes('${')
  const written = isPlain ? join(dirname(resolve(baseDir, siblingFile)), `${ring}-${key.id}${key.alg === 'HS256' ? '' : '.pem'}`) : undefined
  if (written !== undefined && !await createFile(written, keyFileContent(key))) throw new CommandError(`${written} exists; nothing was changed`)
  const shown = written === undefined ? undefined : siblingFile?.startsWith('/') ? written : relative(baseDir, written)
  const tell = ring !== 'assertion' ? '' : key.alg === 'HS256' ? ', give its secret to the apps' : ', let the apps fetch /jwks.json again'
  const said = `added ${key.id} to keys.${ring}${written === undefined ? '' : ` (${written})`}; it verifies and does not sign yet.\nNext: reload every gateway${tell}, then --step promote`
  return { text: withEntry(keys, ringEntry(ring, key, shown)), said, written }
}

function promote(keys: RingText, ring: Ring): Step {
  if (keys.entries.length < 2) throw new CommandError(`keys.${ring} has one key, which signs already; --step publish adds one`)
  return {
    text: withLastFirst(keys),
    said: `${keys.entries.at(-1)?.id ?? ''} now signs; the others still verify.\nNext: reload every gateway; when nothing signed by the old key is in use any more, --step retire`,
  }
}

/** What is promoted comes to the front, so the last is the oldest. */
function retire(keys: RingText, ring: Ring): Step {
  if (keys.entries.length < 2) throw new CommandError(`keys.${ring} has one key, which signs; it cannot be retired`)
  return {
    text: withoutLast(keys),
    said: `${keys.entries.at(-1)?.id ?? ''} is dropped from keys.${ring}: what it signed no longer opens anything.\nNext: reload every gateway; then delete its file, if it has one`,
  }
}

/** Whole or not at all, with the old file's rights. */
async function replaceFile(file: string, content: string): Promise<void> {
  const { mode } = await stat(file)
  const draft = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`)
  await writeFile(draft, content, { mode: mode & 0o777, flag: 'wx', flush: true })
  await rename(draft, file)
}
