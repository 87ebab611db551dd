import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { KeyRing } from '../signing/keyring.ts'
import { createPlainCodec, type RecordKey } from './codec.ts'
import type { EpochMs, Session, SessionId, StoredSession, Version } from './session.ts'

/** A session as its cookie says it. */
export interface Unsealed {
  readonly session: Session
  readonly version: Version
  readonly isCurrentKey: boolean
}

/** A whole session <-> the text a browser keeps of it. */
export interface CookieCodec {
  /** Only characters of [A-Za-z0-9._-]; the same session seals differently each time. */
  seal(session: Session, version: Version): string
  /** Undefined for whatever no key of the ring has sealed for this cookie: forged, cut, changed, of another cookie, of another format. */
  open(text: string): Unsealed | undefined
}

/** Authenticated with every cookie. A format that reads differently gets another. */
const FORMAT = 'sessiongate cookie 1'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * `<key id>.<base64url of nonce, AES-256-GCM ciphertext, tag>`. The format, the key id and the cookie's name are the associated data. What is
 * sealed: version and last use, which with other stores the store knows, then the record as any store would keep it (codec.ts).
 */
export function createCookieCodec(keys: KeyRing<RecordKey>, cookieName: string): CookieCodec {
  const records = createPlainCodec()
  const associated = new Map(keys.all.map(({ id }) => [id, Buffer.from(`${FORMAT}\0${id}\0${cookieName}`)]))

  function decrypt(text: string): { readonly plain: Buffer; readonly key: RecordKey } | undefined {
    const dot = text.indexOf('.')
    const key = keys.byId(text.slice(0, Math.max(dot, 0)))
    if (!key) return undefined
    const bytes = Buffer.from(text.slice(dot + 1), 'base64url')
    // One text per cookie: a lenient decoder skips characters, and the last one has bits to spare.
    if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== text.slice(dot + 1)) return undefined
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(associated.get(key.id) as Buffer).setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      return { key, plain: Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]) }
    } catch {
      return undefined
    }
  }

  /** What is ours and still cannot be read, a newer version's, is as good as none: no store has another copy that could be asked for. */
  function sessionIn(record: Buffer): StoredSession | undefined {
    try {
      const envelope = records.decode('', record)
      return envelope.kind === 'live' ? envelope.session : undefined
    } catch {
      return undefined
    }
  }

  return {
    seal({ id: _id, touchedAt, ...stored }, version) {
      const { current } = keys
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce).setAAD(associated.get(current.id) as Buffer)
      const sealed = [nonce, cipher.update(`${version}.${touchedAt}\n`), cipher.update(records.encode('', { kind: 'live', session: stored })), cipher.final(), cipher.getAuthTag()]
      return `${current.id}.${Buffer.concat(sealed).toString('base64url')}`
    },
    open(text) {
      const opened = decrypt(text)
      if (!opened) return undefined
      const { plain, key } = opened
      const headEnd = plain.indexOf(0x0a)
      const [version = '', touchedAt = ''] = plain.toString('ascii', 0, headEnd).split('.')
      const session = sessionIn(plain.subarray(headEnd + 1))
      return session && {
        session: { id: cookieIdOf(session), touchedAt: Number(touchedAt) as EpochMs, ...session },
        version: version as Version,
        isCurrentKey: key === keys.current,
      }
    },
  }
}

/**
 * The id of a session that nobody but its browser keeps: no secret, since it opens nothing, and never sent anywhere. It says when the
 * session began, for whoever has nothing else of it.
 */
export function cookieIdOf({ handle, createdAt }: Pick<Session, 'handle' | 'createdAt'>): SessionId {
  return `${handle}.${createdAt.toString(36)}` as SessionId
}

/** The reverse of cookieIdOf; undefined for an id of any other store. */
export function factsOfCookieId(id: SessionId): Pick<Session, 'handle' | 'createdAt'> | undefined {
  const [, handle, createdAt] = /^([A-Za-z0-9_-]{22})\.([0-9a-z]{1,11})$/.exec(id) ?? []
  return handle === undefined || createdAt === undefined ? undefined : { handle, createdAt: parseInt(createdAt, 36) as EpochMs }
}
