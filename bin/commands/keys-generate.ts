import { resolve } from 'node:path'
import { createFile } from '../../src/config/state-directory.ts'
import { CommandError, UsageError } from '../errors.ts'
import { keyFileContent, newKey, ringEntry, type Alg, type Ring } from '../new-key.ts'

export interface KeysGenerateOptions {
  readonly alg: Alg
  readonly ring?: Ring | undefined
  readonly id?: string | undefined
  readonly out?: string | undefined
}

/** Prints a ring entry in YAML to standard output, ready to paste; what to do with it goes to standard error. */
export async function runKeysGenerate({ alg, ring = alg === 'HS256' ? 'cookie' : 'assertion', id, out }: KeysGenerateOptions): Promise<number> {
  if (alg !== 'HS256' && ring !== 'assertion') throw new UsageError(`--alg ${alg} makes assertion keys; a ${ring} key is a secret (HS256)`)
  if (id !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(id)) throw new UsageError('--id must be 1 to 32 of A-Z a-z 0-9 _ -')
  const key = newKey(ring, alg, id)
  const file = out === undefined ? undefined : resolve(out)
  if (file !== undefined && !await createFile(file, keyFileContent(key))) throw new CommandError(`${file} exists; it is left as it is`)

  const { stringify } = await import('yaml')
  process.stdout.write(stringify([ringEntry(ring, key, file)]))
  if (key.publicKey !== undefined) process.stdout.write(`# the public half, for apps that do not fetch /jwks.json\n${key.publicKey.trim().replace(/^/gm, '# ')}\n`)
  process.stderr.write(`For keys.${ring}: the first key there signs, all verify. Put a new one last, reload every gateway${ring === 'assertion' ? ' and tell the apps' : ''}, then move it to the front.\n`)
  return 0
}
