import { createHmac, randomBytes } from 'node:crypto'
import type { EpochMs } from '../session/session.ts'

/** Stands for a value: equal values have equal digests within one run, and nothing leads back. Values themselves are never kept. */
export type Digest = string

/** A value as far as it may be known. */
export interface SeenValue {
  /** Of the value as it is, and percent-decoded or unquoted where that differs: apps compare either. */
  readonly digests: readonly Digest[]
  /** About how many random bits are in it; 0 where it reads like words or numbers. */
  readonly bits: number
  /** A JWT, or signed JSON as Flask has it: whoever holds it can read it. */
  readonly isReadable: boolean
}

/** Something else a request brings a value in: a form field or a header. */
export interface SeenField {
  readonly name: string
  readonly digests: readonly Digest[]
}

export interface SeenSetCookie {
  readonly name: string
  readonly value: SeenValue
  readonly isDeletion: boolean
  readonly isHttpOnly: boolean
  /** As the line says it; undefined when it does not. */
  readonly path: string | undefined
  readonly domain: string | undefined
  /** Undefined: it ends with the browser. */
  readonly lifetimeMs: number | undefined
}

/** One request and its answer, without a value in it. */
export interface SeenExchange {
  readonly isLogin: boolean
  readonly isLogout: boolean
  readonly cookies: readonly { readonly name: string; readonly value: SeenValue }[]
  readonly fields: readonly SeenField[]
  readonly headers: readonly SeenField[]
  readonly setCookies: readonly SeenSetCookie[]
}

export interface Digester {
  valueOf(value: string): SeenValue
  fieldOf(name: string, value: string): SeenField
}

/** Shorter values are equal by chance. */
const MIN_COMPARED = 8

export function createDigester(): Digester {
  const key = randomBytes(32)
  const digestOf = (value: string): Digest => createHmac('sha256', key).update(value).digest('base64url').slice(0, 22)
  const digestsOf = (value: string): Digest[] => [...new Set([value, unquoted(value), decoded(unquoted(value))])].map(digestOf)

  return {
    valueOf: (value) => ({ digests: digestsOf(value), bits: randomBitsOf(decoded(value)), isReadable: /^eyJ[\w-]+\.[\w-]+\./.test(unquoted(value)) }),
    fieldOf: (name, value) => ({ name, digests: value.length < MIN_COMPARED ? [] : digestsOf(value) }),
  }
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Pieces of 16 characters and more that mix letters and digits, each by its Shannon entropy: a lower bound that words do not reach. */
export function randomBitsOf(value: string): number {
  const pieces = value.match(/[A-Za-z0-9_+/-]{16,}/g) ?? []
  return Math.round(pieces.filter((piece) => /[A-Za-z]/.test(piece) && (piece.match(/\d/g)?.length ?? 0) >= 2).reduce((bits, piece) => bits + shannonBits(piece), 0))
}

function shannonBits(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / text.length), 0)
}

/** A lifetime as it counts here; undefined for a cookie that ends with the browser. */
export function lifetimeOf(expiresAt: EpochMs | undefined, now: EpochMs): number | undefined {
  return expiresAt === undefined ? undefined : Math.max(0, expiresAt - now)
}
