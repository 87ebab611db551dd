declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** 256 random bits, base64url: 43 characters. The secret in the cookie; never a store key, never in a log. */
export type SessionId = Brand<string, 'SessionId'>
/** Opaque: minted and compared by the store alone. */
export type Version = Brand<string, 'Version'>
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = Brand<number, 'EpochMs'>

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** A session as it was read. Immutable: a change makes a new one. */
export interface Session {
  readonly id: SessionId
  /** The public handle: a keyed hash of the id, fixed when the id was minted, so key rotation does not change it. */
  readonly handle: string
  readonly data: JsonObject
  /**
   * Kept beside the data by adapters: cookies of apps that keep their own. No upstream sees or patches it; it goes with the session,
   * and with the subject when that changes.
   */
  readonly jar?: JsonObject
  readonly createdAt: EpochMs
  /** The last use the store knows of; moves with the touch policy, so it may lag by `touchInterval`. */
  readonly touchedAt: EpochMs
  /** Whether the cookie outlives the browser. */
  readonly permanent: boolean
  /** The idle lifetime in force when the record was written, ms; an upstream may have shortened it. */
  readonly idleMs: number
  /** The absolute lifetime in force, ms since `createdAt`; an upstream may have shortened it. */
  readonly absoluteMs: number
  /** The subject's epoch when it logged in (subjects.ts); absent where nobody counts epochs, or did not then. */
  readonly epoch?: number
}

/** What is written of a session: not the id (it is the cookie's secret), not `touchedAt` (the store's expiry says it). */
export type StoredSession = Omit<Session, 'id' | 'touchedAt'>

type OrUndefined<T> = { [Name in keyof T]: T[Name] | (undefined extends T[Name] ? undefined : never) }

/** The session of this id, last used at `touchedAt`. Member by member: by spread, V8 takes several times as long. */
export function sessionOf(id: SessionId, touchedAt: EpochMs, stored: OrUndefined<StoredSession>): Session {
  const { handle, data, jar, createdAt, permanent, idleMs, absoluteMs, epoch } = stored
  const session = { id, handle, data, createdAt, touchedAt, permanent, idleMs, absoluteMs }
  if (jar === undefined && epoch === undefined) return session
  return { ...session, ...(jar === undefined ? {} : { jar }), ...(epoch === undefined ? {} : { epoch }) }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
