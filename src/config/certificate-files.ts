import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigProblem } from '../errors.ts'
import { digestOf, type FilesRead } from './files-read.ts'
import { reasonOf } from './secret-files.ts'
import { isMembers, type Path, pathText } from './tree.ts'
import type { Config } from './schema.ts'

export interface CertificatesChecked {
  readonly problems: readonly ConfigProblem[]
  readonly files: FilesRead
}

/** Certificates, their keys and authorities: readable, and the listener's pair belongs together. */
export async function checkCertificateFiles(config: Config): Promise<CertificatesChecked> {
  const problems: ConfigProblem[] = []
  const found = [...filesOf(config.tls, ['tls']), ...filesOf(config.upstreams, ['upstreams']), ...filesOf(config.store, ['store'])]
  const contents = new Map<string, Buffer>()
  for (const { path, file } of found) {
    try {
      contents.set(path, await readFile(file))
    } catch (error) {
      problems.push({ path, message: `${file} cannot be read: ${reasonOf(error)}` })
    }
  }
  const cert = contents.get('tls.certFile')
  const key = contents.get('tls.keyFile')
  const mismatch = cert && key ? await pairProblem(cert, key) : undefined
  if (mismatch) problems.push({ path: 'tls', message: mismatch })
  return { problems, files: new Map(found.map(({ path, file }) => [resolve(file), digestOf(contents.get(path))])) }
}

function filesOf(tree: unknown, path: Path): { path: string; file: string }[] {
  if (!isMembers(tree)) return []
  return Object.entries(tree).flatMap(([name, value]) => {
    const isFile = ['certFile', 'keyFile', 'caFile'].includes(name) && typeof value === 'string'
    return isFile ? [{ path: pathText([...path, name]), file: value }] : name === 'options' ? [] : filesOf(value, [...path, name])
  })
}

async function pairProblem(cert: Buffer, key: Buffer): Promise<string | undefined> {
  const { createSecureContext } = await import('node:tls')
  try {
    createSecureContext({ cert, key })
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code.includes('KEY_VALUES_MISMATCH')) return 'the certificate and the key do not belong together'
    return 'the certificate or its key is not a PEM this gateway can use (half written, or with a passphrase?)'
  }
}
