import { randomBytes } from 'node:crypto'
import { readFile, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { isMap, isSeq, parseDocument, type Document, type YAMLMap, type YAMLSeq } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { createFile } from '../../src/config/state-directory.ts'
import { CommandError } from '../errors.ts'
import { keyFileContent, newKey, ringEntry, type Alg, type Ring } from '../new-key.ts'

export interface KeysRotateOptions {
  readonly config: string
  readonly ring: Ring
  readonly step: 'publish' | 'promote' | 'retire'
}

/**
 * One step of a rotation in the file: `publish` adds a key that verifies, `promote` lets the newest sign, `retire` drops the oldest one
 * that no longer signs. Between two steps every gateway reloads, so that no one ever meets a key it does not know. Comments and layout
 * stay; the result is checked before it replaces the file.
 */
export async function runKeysRotate({ config, ring, step }: KeysRotateOptions): Promise<number> {
  const file = await realpath(config)
  const before = await readFile(file, 'utf8')
  await loadConfig({ file: config })
  const document = parseDocument(before)
  const keys = document.getIn(['keys', ring])
  if (!isSeq(keys) || keys.items.some((key) => !isMap(key))) throw new CommandError(`keys.${ring} is not a plain list in ${config}; nothing was changed`)
  const ringKeys = keys as YAMLSeq<YAMLMap>

  const { said, written } = step === 'publish' ? await publish(document, ringKeys, ring, dirname(resolve(config))) : { said: step === 'promote' ? promote(ringKeys, ring) : retire(ringKeys, ring), written: undefined }
  const after = document.toString({ lineWidth: 0, flowCollectionPadding: true })
  try {
    await loadConfig({ file: config, text: after })
    await replaceFile(file, after)
  } catch (error) {
    if (written !== undefined) await unlink(written)
    throw error
  }
  process.stdout.write(`${said}\n`)
  return 0
}

/** The new key goes last and its secret to where its siblings keep theirs: a file beside theirs, or inline. */
async function publish(document: Document, keys: YAMLSeq<YAMLMap>, ring: Ring, baseDir: string): Promise<{ said: string; written: string | undefined }> {
  const sibling = keys.items.at(-1)
  if (sibling === undefined) throw new CommandError(`keys.${ring} is empty; add a first key by hand (sessiongate keys generate --ring ${ring})`)
  const key = newKey(ring, (sibling.get('alg') as Alg | undefined) ?? 'HS256')
  const siblingFile = sibling.get(key.alg === 'HS256' ? 'secretFile' : 'privateKeyFile')
  const isLiteral = typeof siblingFile === 'string' && !siblingFile.includes('${')
  const written = isLiteral ? join(dirname(resolve(baseDir, siblingFile)), `${ring}-${key.id}${key.alg === 'HS256' ? '' : '.pem'}`) : undefined
  if (written !== undefined && !await createFile(written, keyFileContent(key))) throw new CommandError(`${written} exists; nothing was changed`)
  const shown = written === undefined ? undefined : siblingFile?.toString().startsWith('/') ? written : relative(baseDir, written)
  const entry = document.createNode(ringEntry(ring, key, shown))
  entry.flow = sibling.flow ?? false
  keys.add(entry)
  const tell = ring === 'assertion' ? (key.alg === 'HS256' ? ', give its secret to the apps' : ', let the apps fetch /jwks.json again') : ''
  return { said: `added ${key.id} to keys.${ring}${written === undefined ? '' : ` (${written})`}; it verifies and does not sign yet.\nNext: reload every gateway${tell}, then --step promote`, written }
}

function promote(keys: YAMLSeq<YAMLMap>, ring: Ring): string {
  const newest = keys.items.at(-1)
  if (newest === undefined || keys.items.length < 2) throw new CommandError(`keys.${ring} has one key, which signs already; --step publish adds one`)
  const comment = keys.items[0]?.commentBefore
  keys.items.pop()
  keys.items.unshift(newest)
  if (comment !== undefined && comment !== null && newest.commentBefore === undefined) {
    newest.commentBefore = comment
    if (keys.items[1]) keys.items[1].commentBefore = null
  }
  return `${String(newest.get('id'))} now signs; the others still verify.\nNext: reload every gateway; when nothing signed by the old key is in use any more, --step retire`
}

/** The oldest that no longer signs is the last: what is promoted comes to the front. */
function retire(keys: YAMLSeq<YAMLMap>, ring: Ring): string {
  if (keys.items.length < 2) throw new CommandError(`keys.${ring} has one key, which signs; it cannot be retired`)
  const last = keys.items.pop()
  return `${String(last?.get('id'))} is dropped from keys.${ring}: what it signed no longer opens anything.\nNext: reload every gateway; then delete its file, if it has one`
}

/** Whole or not at all, with the old file's rights. */
async function replaceFile(file: string, content: string): Promise<void> {
  const { mode } = await stat(file)
  const draft = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`)
  await writeFile(draft, content, { mode: mode & 0o777, flag: 'wx', flush: true })
  await rename(draft, file)
}
