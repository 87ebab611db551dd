import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { SessionCorruptError } from '../errors.ts'
import { dataTextOf } from './data-text.ts'
import { recordBytesOf } from './record-text.ts'
import { isJsonObject, type EpochMs, type StoredSession } from './session.ts'
import type { SubjectEntry, SubjectRecord } from './subjects.ts'

/** What a record holds: a session, a pointer left by a rotation, the mark of an emptied session, or what is known of a subject. */
export type Envelope =
  | { readonly kind: 'live'; readonly session: StoredSession }
  /** `sealedSuccessor` opens only with the old id (signing/ids.ts). */
  | { readonly kind: 'moved'; readonly sealedSuccessor: string }
  | { readonly kind: 'gone' }
  /** Brought from another store by `sessiongate migrate`, under the claim by which its visitor will come for it (adoption.ts). */
  | { readonly kind: 'waiting'; readonly session: StoredSession }
  | { readonly kind: 'subject'; readonly subject: SubjectRecord }

/** Envelope <-> bytes. `key` is the store key; with encryption it is authenticated, so a record moved to another key is refused. */
export interface Codec {
  encode(key: string, envelope: Envelope): Uint8Array
  /** Throws SessionCorruptError for anything this version cannot read. */
  decode(key: string, bytes: Uint8Array): Envelope
}

export interface RecordKey {
  readonly id: string
  /** 32 bytes. */
  readonly bytes: Uint8Array
}

const PLAIN = 1
const SEALED = 2
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Version byte 1, then JSON in UTF-8. */
export function createPlainCodec(): Codec {
  return {
    encode: (_key, envelope) => recordBytesOf(`\x01${textOf(envelope)}`),
    decode(_key, bytes) {
      checkVersion(bytes, PLAIN)
      return envelopeOf(asBuffer(bytes).toString('utf8', 1))
    },
  }
}

/**
 * Version byte 2, key id length, key id, nonce, AES-256-GCM ciphertext, tag. The head and the store key are the associated data.
 * The first key encrypts, all decrypt; plain records are still read, so encryption can be switched on over existing sessions.
 */
export function createSealedCodec(keys: readonly [RecordKey, ...RecordKey[]]): Codec {
  const byId = new Map(keys.map((key) => [key.id, key]))
  const plain = createPlainCodec()
  return {
    encode(storeKey, envelope) {
      const [key] = keys
      const head = Buffer.concat([Buffer.of(SEALED, key.id.length), Buffer.from(key.id, 'ascii')])
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(associated(head, storeKey))
      return Buffer.concat([head, nonce, cipher.update(textOf(envelope), 'utf8'), cipher.final(), cipher.getAuthTag()])
    },
    decode(storeKey, bytes) {
      if (bytes[0] === PLAIN) return plain.decode(storeKey, bytes)
      checkVersion(bytes, SEALED)
      const buffer = asBuffer(bytes)
      const headEnd = 2 + (buffer[1] ?? 0)
      const key = byId.get(buffer.toString('ascii', 2, headEnd))
      if (!key) throw new SessionCorruptError('no record key has its key id')
      if (buffer.length < headEnd + NONCE_BYTES + TAG_BYTES) throw new SessionCorruptError('truncated')
      return envelopeOf(unseal(key, buffer, headEnd, storeKey))
    },
  }
}

function unseal(key: RecordKey, buffer: Buffer, headEnd: number, storeKey: string): string {
  const bodyStart = headEnd + NONCE_BYTES
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, buffer.subarray(headEnd, bodyStart), { authTagLength: TAG_BYTES })
    decipher.setAAD(associated(buffer.subarray(0, headEnd), storeKey)).setAuthTag(buffer.subarray(-TAG_BYTES))
    return decipher.update(buffer.subarray(bodyStart, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch (error) {
    throw new SessionCorruptError('it does not decrypt under this key', error)
  }
}

function associated(head: Buffer, storeKey: string): Buffer {
  return Buffer.concat([head, Buffer.from(storeKey)])
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function checkVersion(bytes: Uint8Array, expected: number): void {
  if (bytes[0] !== expected) throw new SessionCorruptError(bytes.length === 0 ? 'empty' : `envelope version ${bytes[0]} is not known here`)
}

function textOf(envelope: Envelope): string {
  switch (envelope.kind) {
    case 'live':
    case 'waiting': {
      const { handle, createdAt, idleMs, absoluteMs, permanent, data, jar, epoch } = envelope.session
      const beside = jar === undefined ? '' : `,"j":${JSON.stringify(jar)}`
      const since = epoch === undefined ? '' : `,"e":${epoch}`
      return `{${envelope.kind === 'waiting' ? '"w":true,' : ''}"h":"${handle}","c":${createdAt},"i":${idleMs},"a":${absoluteMs},"p":${permanent}${since},"d":${dataTextOf(data)}${beside}}`
    }
    case 'moved': return `{"m":"${envelope.sealedSuccessor}"}`
    case 'gone': return '{"g":true}'
    case 'subject': {
      const { epoch, isRevoked, sessions } = envelope.subject
      return JSON.stringify({ e: epoch, r: isRevoked, s: sessions.map(({ handle, key, enrolledAt, endsAt }) => [handle, key, enrolledAt, endsAt]) })
    }
  }
}

interface Members {
  readonly h?: unknown; readonly c?: unknown; readonly i?: unknown; readonly a?: unknown; readonly p?: unknown; readonly d?: unknown; readonly j?: unknown
  readonly m?: unknown; readonly g?: unknown; readonly e?: unknown; readonly w?: unknown; readonly r?: unknown; readonly s?: unknown
}

function envelopeOf(text: string): Envelope {
  const { h, c, i, a, p, d, j, m, g, e, r, s, w } = parse(text)
  if (g === true) return { kind: 'gone' }
  if (typeof m === 'string') return { kind: 'moved', sealedSuccessor: m }
  if (Array.isArray(s) && isEpoch(e) && typeof r === 'boolean') return { kind: 'subject', subject: { epoch: e, isRevoked: r, sessions: s.map(entryOf) } }
  if (typeof h !== 'string' || typeof c !== 'number' || typeof i !== 'number' || typeof a !== 'number' || typeof p !== 'boolean' || !isJsonObject(d) || !(j === undefined || isJsonObject(j)) || !(e === undefined || isEpoch(e))) {
    throw new SessionCorruptError('members are missing or of the wrong type')
  }
  const session = { handle: h, createdAt: c as EpochMs, idleMs: i, absoluteMs: a, permanent: p, data: d }
  const kind = w === true ? 'waiting' : 'live'
  if (j === undefined && e === undefined) return { kind, session }
  return { kind, session: { ...session, ...(j === undefined ? {} : { jar: j }), ...(e === undefined ? {} : { epoch: e }) } }
}

function isEpoch(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function entryOf(entry: unknown): SubjectEntry {
  const [handle, key, enrolledAt, endsAt] = Array.isArray(entry) ? entry as unknown[] : []
  if (typeof handle !== 'string' || typeof key !== 'string' || typeof enrolledAt !== 'number' || typeof endsAt !== 'number') {
    throw new SessionCorruptError('an entry of a subject is of the wrong type')
  }
  return { handle, key, enrolledAt: enrolledAt as EpochMs, endsAt: endsAt as EpochMs }
}

function parse(text: string): Members {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : {}
  } catch (error) {
    throw new SessionCorruptError('not JSON', error)
  }
}
