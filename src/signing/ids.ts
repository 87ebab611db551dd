import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto'
import type { SessionId } from '../session/session.ts'

/** A fresh id: 256 bits from the system's CSPRNG, base64url, 43 characters (ASVS 5.0 7.2.3 asks for 128). */
export function mintSessionId(): SessionId {
  return randomBytes(32).toString('base64url') as SessionId
}

/** The store key of an id: its SHA-256, base64url, so a stolen dump opens nothing. */
export function storeKeyOf(id: SessionId): string {
  return hash('sha256', id, 'base64url')
}

/** The public handle of an id: 128 bits of HMAC-SHA256, base64url, 22 characters. */
export function handleOf(id: SessionId, secret: string): string {
  return createHmac('sha256', secret).update('sessiongate handle\0').update(id).digest('base64url').slice(0, 22)
}

function sealingKey(id: SessionId): Buffer {
  return Buffer.from(hkdfSync('sha256', id, '', 'sessiongate successor', 32))
}

/** The successor's id, readable only by who knows `id`: a dump of the store does not reveal it. */
export function sealSuccessor(id: SessionId, successor: SessionId): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', sealingKey(id), nonce)
  return Buffer.concat([nonce, cipher.update(successor, 'ascii'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** The reverse of sealSuccessor. Throws when the seal was made for another id or was tampered with. */
export function openSuccessor(id: SessionId, sealed: string): SessionId {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(id), bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAuthTag(bytes.subarray(-16))
  return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('ascii') as SessionId
}
