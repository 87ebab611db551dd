import { hash } from 'node:crypto'
import type { EpochMs } from '../session/session.ts'
import { clearCookieLine, setCookieLine, splitCookies, type CookieAttributes, type SplitCookies } from './cookie.ts'

/** Browsers drop a longer cookie; the strictest count the whole Set-Cookie line (RFC 6265 section 6.1). */
const MAX_LINE_CHARS = 4_096
const MARK_CHARS = 11
/** `3.` and the mark and a dot before each part. */
const FRAME_CHARS = 2 + MARK_CHARS + 1
const FRAMED = /^([23]\.[A-Za-z0-9_-]{11}\.)([A-Za-z0-9._-]+)$/

/** A text over several cookies, as a request brought it. */
export interface SplitChunks extends SplitCookies {
  /** The names of the further cookies that came, whatever they are worth. */
  readonly extra: readonly string[]
}

/** `session`, `session.1`, `session.2`. A name's prefix (`__Host-`) stays in front, so browsers guard each alike. */
export function chunkNamesOf(name: string): readonly [string, string, string] {
  return [name, `${name}.1`, `${name}.2`]
}

/**
 * The texts that the cookies of these names hold. Of several cookies, each names how many belong together and bears the mark of the
 * text it was cut from: parts of two texts never make one. A text that is not whole stays what it is, and opens nothing.
 */
export function splitChunks(lines: readonly string[], [name, ...further]: readonly [string, ...string[]]): SplitChunks {
  const first = splitCookies(lines, name)
  const extra: string[] = []
  const parts: ReadonlyMap<string, string>[] = []
  let rest = first.rest
  for (const furtherName of further) {
    const split = splitCookies(rest, furtherName)
    if (split.candidates.length > 0) extra.push(furtherName)
    parts.push(partsOf(split.candidates))
    rest = split.rest
  }
  return { candidates: first.candidates.map((value) => joined(value, parts)), rest, extra }
}

/** Parts by their frame; of two in one frame the first. */
function partsOf(values: readonly string[]): ReadonlyMap<string, string> {
  const parts = new Map<string, string>()
  for (const value of values) {
    const [, frame, part] = FRAMED.exec(value) ?? []
    if (frame !== undefined && part !== undefined && !parts.has(frame)) parts.set(frame, part)
  }
  return parts
}

function joined(value: string, parts: readonly ReadonlyMap<string, string>[]): string {
  const [, frame, part] = FRAMED.exec(value) ?? []
  if (frame === undefined || part === undefined) return value
  const others = parts.slice(0, Number(frame[0]) - 1).map((byFrame) => byFrame.get(frame))
  return others.includes(undefined) ? value : [part, ...others].join('')
}

/** How many characters of text fit into the cookies of these attributes. */
export function chunkCapacityOf(cookie: CookieAttributes): number {
  const rooms = roomsOf(cookie)
  return rooms.reduce((sum, room) => sum + room - FRAME_CHARS, 0)
}

/** How many characters of value fit under each name, the longest lifetime included. */
function roomsOf(cookie: CookieAttributes): readonly number[] {
  return chunkNamesOf(cookie.name).map((name) => MAX_LINE_CHARS - setCookieLine({ ...cookie, name }, '', 1e15 as EpochMs, 0 as EpochMs).length)
}

/**
 * The Set-Cookie lines for a text of [A-Za-z0-9._-], each within what browsers keep, and those that delete what an earlier, longer one has
 * left (`extra`). Throws RangeError when the text is longer than chunkCapacityOf the cookie.
 */
export function chunkLines(cookie: CookieAttributes, text: string, until: EpochMs | undefined, now: EpochMs, extra: readonly string[]): string[] {
  const values = chunksOf(cookie, text)
  const names = chunkNamesOf(cookie.name)
  const lines = values.map((value, at) => setCookieLine({ ...cookie, name: names[at] as string }, value, until, now))
  const stale = extra.filter((name) => names.indexOf(name) >= values.length)
  return [...lines, ...stale.map((name) => clearCookieLine({ ...cookie, name }))]
}

function chunksOf(cookie: CookieAttributes, text: string): readonly string[] {
  const rooms = roomsOf(cookie)
  if (text.length <= (rooms[0] as number)) return [text]
  const parts: string[] = []
  let from = 0
  for (const room of rooms) {
    if (from < text.length) parts.push(text.slice(from, from + room - FRAME_CHARS))
    from += room - FRAME_CHARS
  }
  if (from < text.length) throw new RangeError(`a text of ${text.length} characters does not fit into ${rooms.length} cookies`)
  const mark = hash('sha256', text, 'base64url').slice(0, MARK_CHARS)
  return parts.map((part) => `${parts.length}.${mark}.${part}`)
}

/** The Set-Cookie lines that delete the text. */
export function clearChunkLines(cookie: CookieAttributes, extra: readonly string[]): string[] {
  return [cookie.name, ...extra].map((name) => clearCookieLine({ ...cookie, name }))
}
