import type { EpochMs, Version } from '../session/session.ts'
import type { Entry } from './entry-store.ts'
import { StoreRefusal } from './refusal.ts'
import { VERSION_LENGTH } from './version.ts'

// A store that keeps one value per key writes into it: kind (R record, T tombstone), 16 characters of version, 16 digits of expiry, the
// bytes. Redis' scripts read it too (redis-script.ts).

export type ValueKind = 'R' | 'T'

const EXPIRY_DIGITS = 16
const EXPIRY_START = 1 + VERSION_LENGTH
const HEADER_BYTES = EXPIRY_START + EXPIRY_DIGITS
const RECORD = 0x52
const TOMBSTONE = 0x54

/** The expiry as it stands in a value. */
export function digitsOf(expiresAt: EpochMs): string {
  return String(expiresAt).padStart(EXPIRY_DIGITS, '0')
}

/** What stands before the bytes, all ASCII. */
export function headerOf(kind: ValueKind, version: Version, expiresAt: EpochMs): string {
  return kind + version + digitsOf(expiresAt)
}

export function valueOf(header: string, bytes: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(HEADER_BYTES + bytes.length)
  value.write(header, 0, 'latin1')
  value.set(bytes, HEADER_BYTES)
  return value
}

/** Whether one of ours may be in it: other programs may have values under our prefix. */
export function isValue(value: Buffer): boolean {
  return value.length >= HEADER_BYTES && (value[0] === RECORD || value[0] === TOMBSTONE)
}

/** What is in a value; the bytes are not copied. Throws a StoreRefusal for what nobody here wrote. */
export function entryIn(value: Buffer): Entry {
  if (!isValue(value)) throw foreignValue()
  const expiresAt = Number(value.toString('latin1', EXPIRY_START, HEADER_BYTES)) as EpochMs
  if (!(expiresAt >= 0)) throw foreignValue()
  const version = value.toString('latin1', 1, EXPIRY_START) as Version
  return { bytes: value[0] === RECORD ? value.subarray(HEADER_BYTES) : undefined, version, expiresAt }
}

export function foreignValue(): StoreRefusal {
  return new StoreRefusal('the key holds a value this store did not write: choose another keyPrefix')
}
