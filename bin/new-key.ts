import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { newSecret } from '../src/config/state-directory.ts'

export type Ring = 'cookie' | 'assertion' | 'record'
export type Alg = 'HS256' | 'EdDSA' | 'ES256'

export interface NewKey {
  readonly id: string
  readonly alg: Alg
  /** The secret, or the private key in PEM. */
  readonly material: string
  /** The public half in PEM; undefined for HS256. */
  readonly publicKey: string | undefined
}

/** A fresh key; its id starts with the day, so a ring shows its own history, and never comes up twice. */
export function newKey(ring: Ring, alg: Alg, id?: string): NewKey {
  const name = id ?? `${ring[0]}${new Date().toISOString().slice(0, 10).replaceAll('-', '')}-${randomBytes(2).toString('hex')}`
  if (alg === 'HS256') return { id: name, alg, material: newSecret(), publicKey: undefined }
  const pair = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    id: name, alg,
    material: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

/** The ring entry for a key, its secret inline or in `file`. */
export function ringEntry(ring: Ring, key: NewKey, file: string | undefined): Record<string, string> {
  const member = key.alg === 'HS256' ? 'secret' : 'privateKey'
  return {
    id: key.id,
    ...(ring === 'assertion' ? { alg: key.alg } : {}),
    ...(file === undefined ? { [member]: key.material } : { [`${member}File`]: file }),
  }
}

/** What a key file holds: text that ends with one newline. */
export function keyFileContent({ material }: NewKey): string {
  return material.endsWith('\n') ? material : `${material}\n`
}
