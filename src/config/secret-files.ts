import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigProblem } from '../errors.ts'
import { digestOf, type FilesRead } from './files-read.ts'
import { isMembers, type Path, pathText, valueAt, withValue } from './tree.ts'

/** Members that hold a secret and have a `...File` form. */
export const SECRET_MEMBERS: readonly string[] = ['secret', 'privateKey', 'publicKey', 'password', 'secretKey']
/** Members with a `...File` form. */
export const FILE_MEMBERS: readonly string[] = [...SECRET_MEMBERS, 'notBefore']
const MAX_SECRET_BYTES = 65_536

export interface SecretsRead {
  readonly tree: unknown
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  /** Paths of the values that a file should have given and did not. */
  readonly missing: readonly string[]
  readonly files: FilesRead
}

/**
 * Puts the content of each `secretFile`, `privateKeyFile`, `publicKeyFile`, `passwordFile`, ... where the value itself could have been
 * written. One trailing newline is dropped, nothing else: white space around a secret is refused, not guessed at.
 */
export async function readSecretFiles(tree: unknown, baseDir: string): Promise<SecretsRead> {
  const problems: ConfigProblem[] = []
  const warnings: ConfigProblem[] = []
  const missing: string[] = []
  /** One file is read once: whatever names it gets the same content, whose digest this is. */
  const reads = new Map<string, SecretRead>()
  let result = tree
  for (const { path, target, file } of secretFilesOf(tree)) {
    const at = pathText(path)
    const fail = (message: string): void => {
      problems.push({ path: at, message })
      missing.push(pathText(target))
    }
    if (valueAt(tree, target) !== undefined) {
      fail(`give either this or ${String(target.at(-1))}, not both`)
      continue
    }
    const absolute = resolve(baseDir, file)
    const read = reads.get(absolute) ?? await readSecret(absolute)
    reads.set(absolute, read)
    if ('problem' in read) {
      fail(read.problem)
      continue
    }
    result = withValue(result, target, read.value)
    if (read.warning !== undefined && SECRET_MEMBERS.includes(String(target.at(-1)))) warnings.push({ path: at, message: read.warning })
  }
  const files = new Map([...reads].flatMap(([file, read]) => 'digest' in read ? [[file, read.digest] as const] : []))
  return { tree: result, problems, warnings, missing, files }
}

interface SecretFile {
  readonly path: Path
  readonly target: Path
  readonly file: string
}

function secretFilesOf(tree: unknown, path: Path = []): SecretFile[] {
  if (Array.isArray(tree)) return tree.flatMap((item, index) => secretFilesOf(item, [...path, index]))
  if (!isMembers(tree)) return []
  return Object.entries(tree).flatMap(([name, value]) => {
    const member = name.endsWith('File') ? name.slice(0, -'File'.length) : undefined
    if (member === undefined || !FILE_MEMBERS.includes(member) || typeof value !== 'string') return secretFilesOf(value, [...path, name])
    return [{ path: [...path, name], target: [...path, member], file: value }]
  })
}

type SecretRead = { readonly value: string; readonly digest: string; readonly warning: string | undefined } | { readonly problem: string }

async function readSecret(file: string): Promise<SecretRead> {
  let bytes: Buffer
  let mode: number
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)    // a pipe without a writer must not hang the start
    const stat = await handle.stat()
    if (!stat.isFile()) return { problem: `${file} is not a file` }
    if (stat.size > MAX_SECRET_BYTES) return { problem: `${file} is larger than 64 KB, so it is not a secret` }
    bytes = await handle.readFile()
    mode = stat.mode
  } catch (error) {
    return { problem: `${file} cannot be read: ${reasonOf(error)}` }
  }
  const value = textOf(bytes)
  if (value === undefined) return { problem: `${file} is not UTF-8 text; store the secret as text, for example base64url` }
  if (value.startsWith('\uFEFF')) return { problem: `${file} starts with a byte order mark; save it without one` }
  if (value.trim() === '') return { problem: `${file} is empty; was it still being written?` }
  if (/^\s/.test(value)) return { problem: `${file} starts with white space; remove it` }
  const warning = (mode & 0o004) !== 0 ? `${file} can be read by every user of this machine; chmod 600 it` : undefined
  return { value, digest: digestOf(bytes), warning }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch {
    return undefined
  }
}

/** The operating system's reason in words; never the content. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'EISDIR') return 'it is a directory'
  return code ?? 'unknown error'
}
