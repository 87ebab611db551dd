import { knownCookie, type KnownCookie } from './known-cookies.ts'
import type { Digest, SeenExchange, SeenField, SeenSetCookie, SeenValue } from './seen.ts'

/** What was seen of one cookie, or of all that one pattern names. */
export interface CookieFacts {
  /** The cookie's name, or a pattern with `*`. */
  readonly name: string
  readonly isPattern: boolean
  readonly known: KnownCookie | undefined
  /** Set-Cookie lines with a value; of those, on the answer to a login. */
  readonly timesSet: number
  readonly timesSetAtLogin: number
  /** A login gave another value to a browser that had one. */
  readonly changesAtLogin: boolean
  readonly timesDeleted: number
  readonly isDeletedAtLogout: boolean
  /** On every line that sets it. */
  readonly isHttpOnly: boolean
  /** The longest, ms; undefined: it ends with the browser. */
  readonly lifetimeMs: number | undefined
  /** Attributes as the app writes them. */
  readonly paths: readonly string[]
  readonly domains: readonly string[]
  readonly bits: number
  readonly isReadable: boolean
  readonly timesSent: number
  /** Sent with a value the app was not seen to set: by scripts, or from before. */
  readonly timesSentUnknown: number
  /** Form fields and headers that came with the same value. */
  readonly equalFields: readonly string[]
  readonly equalHeaders: readonly string[]
}

export interface Totals {
  readonly requests: number
  readonly logins: number
  readonly logouts: number
  /** Cookies whose names no rule can say. */
  readonly unnameable: number
}

export interface FactBook {
  record(exchange: SeenExchange): void
  facts(): readonly CookieFacts[]
  totals(): Totals
}

interface Notes {
  readonly known: KnownCookie | undefined
  readonly isPattern: boolean
  timesSet: number
  timesSetAtLogin: number
  changesAtLogin: boolean
  timesDeleted: number
  isDeletedAtLogout: boolean
  timesHttpOnly: number
  lifetimeMs: number | undefined
  bits: number
  isReadable: boolean
  timesSent: number
  timesSentUnknown: number
  readonly paths: Set<string>
  readonly domains: Set<string>
  readonly values: Set<Digest>
  readonly equalFields: Set<string>
  readonly equalHeaders: Set<string>
}

/** What rules can name (see config/adapter-schema.ts). */
const NAMEABLE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/
const MAX_COOKIES = 500
const MAX_VALUES = 10_000

/** Keeps what exchanges tell about each cookie. Bounded, whatever clients send. */
export function createFactBook(): FactBook {
  const book = new Map<string, Notes>()
  const totals = { requests: 0, logins: 0, logouts: 0, unnameable: 0 }

  function notesOf(name: string): Notes | undefined {
    const known = knownCookie(name)
    const entry = known?.pattern ?? patternOf(name) ?? name
    const notes = book.get(entry)
    if (notes) return notes
    if (!NAMEABLE.test(name) || name.includes('*') || book.size >= MAX_COOKIES) {
      totals.unnameable++
      return undefined
    }
    const fresh = emptyNotes(known, entry !== name || known?.pattern !== undefined)
    book.set(entry, fresh)
    return fresh
  }

  function recordSent({ cookies, fields, headers }: SeenExchange): void {
    for (const { name, value } of cookies) {
      const notes = notesOf(name)
      if (!notes) continue
      notes.timesSent++
      if (!isKnownValue(notes, value)) notes.timesSentUnknown++
      learnValue(notes, value)
      for (const field of equalTo(value, fields)) notes.equalFields.add(field)
      for (const header of equalTo(value, headers)) notes.equalHeaders.add(header)
    }
  }

  function recordSet(line: SeenSetCookie, { cookies, isLogin, isLogout }: SeenExchange): void {
    const notes = notesOf(line.name)
    if (!notes) return
    if (line.path !== undefined) notes.paths.add(line.path)
    if (line.domain !== undefined) notes.domains.add(line.domain)
    if (line.isDeletion) {
      notes.timesDeleted++
      notes.isDeletedAtLogout ||= isLogout
      return
    }
    notes.timesSet++
    if (line.isHttpOnly) notes.timesHttpOnly++
    if (line.lifetimeMs !== undefined) notes.lifetimeMs = Math.max(notes.lifetimeMs ?? 0, line.lifetimeMs)
    if (isLogin) {
      notes.timesSetAtLogin++
      const before = cookies.find(({ name }) => name === line.name)
      notes.changesAtLogin ||= before !== undefined && !before.value.digests.some((digest) => line.value.digests.includes(digest))
    }
    learnValue(notes, line.value)
    if (notes.values.size < MAX_VALUES) for (const digest of line.value.digests) notes.values.add(digest)
  }

  return {
    record(exchange) {
      totals.requests++
      if (exchange.isLogin) totals.logins++
      if (exchange.isLogout) totals.logouts++
      recordSent(exchange)
      for (const line of exchange.setCookies) recordSet(line, exchange)
    },
    facts: () => [...book].map(([name, notes]): CookieFacts => ({
      ...notes, name,
      isHttpOnly: notes.timesSet > 0 && notes.timesHttpOnly === notes.timesSet,
      paths: [...notes.paths], domains: [...notes.domains], equalFields: [...notes.equalFields], equalHeaders: [...notes.equalHeaders],
    })),
    totals: () => ({ ...totals }),
  }
}

/** A name that ends in a hash, such as `wordpress_<md5>`, differs from site to site or user to user. */
function patternOf(name: string): string | undefined {
  const [, stem] = /^(.*[_.-])[0-9a-f]{16,}$/i.exec(name) ?? []
  return stem === undefined ? undefined : `${stem}*`
}

function isKnownValue({ values }: Notes, { digests }: SeenValue): boolean {
  return digests.some((digest) => values.has(digest))
}

function learnValue(notes: Notes, { bits, isReadable }: SeenValue): void {
  notes.bits = Math.max(notes.bits, bits)
  notes.isReadable ||= isReadable
}

function equalTo({ digests }: SeenValue, fields: readonly SeenField[]): string[] {
  return fields.filter((field) => field.digests.some((digest) => digests.includes(digest))).map(({ name }) => name)
}

function emptyNotes(known: KnownCookie | undefined, isPattern: boolean): Notes {
  return {
    known, isPattern, timesSet: 0, timesSetAtLogin: 0, changesAtLogin: false, timesDeleted: 0, isDeletedAtLogout: false, timesHttpOnly: 0,
    lifetimeMs: undefined, bits: 0, isReadable: false, timesSent: 0, timesSentUnknown: 0,
    paths: new Set(), domains: new Set(), values: new Set(), equalFields: new Set(), equalHeaders: new Set(),
  }
}
