import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Seals cookie values for the browser that holds them: AES-256-GCM, bound to the cookie's name and to the user. */
export interface CookieSealer {
  seal(name: string, value: string, subject: string | undefined): string
  /** Undefined: not sealed by us, for another name, or for another user. What was sealed for a visitor opens for whoever they become. */
  open(name: string, sealed: string, subject: string | undefined): string | undefined
}

export interface SealKey {
  readonly id: string
  readonly secret: string
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** The first key seals, all open. `scope` keeps apps apart: what one has set does not open at another. */
export function createCookieSealer(keys: readonly SealKey[], scope: string): CookieSealer {
  const derived = new Map(keys.map(({ id, secret }) => [id, Buffer.from(hkdfSync('sha256', secret, '', 'sessiongate sealed cookie', 32))]))
  const associated = (name: string): Buffer => Buffer.from(`${scope}\0${name}`)
  const currentId = keys[0]?.id ?? ''

  return {
    seal(name, value, subject) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', derived.get(currentId) as Buffer, nonce).setAAD(associated(name))
      const text = JSON.stringify(subject === undefined ? [value] : [value, subject])
      const bytes = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${currentId}.${bytes.toString('base64url')}`
    },
    open(name, sealed, subject) {
      const dot = sealed.indexOf('.')
      const key = derived.get(sealed.slice(0, dot))
      const bytes = Buffer.from(sealed.slice(dot + 1), 'base64url')
      if (!key || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
      const text = decrypt(key, bytes, associated(name))
      const [value, owner] = text === undefined ? [] : JSON.parse(text) as [string, string?]
      return owner === undefined || owner === subject ? value : undefined
    },
  }
}

function decrypt(key: Buffer, bytes: Buffer, associated: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(associated).setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}
