import { skipBlanks, trimBlanks } from '../../http/cookie.ts'

/** One `name=value` of a Cookie line, read as browsers write it: nothing but blanks and tabs around either is left out. */
export interface CookiePair {
  readonly name: string
  readonly value: string
}

/**
 * Goes through the pairs of Cookie lines. `take` gives undefined to leave a pair as it is, else what takes its place: another pair, or
 * '' for nothing. Every byte of what is left stays, in order; lines that held nothing else are gone.
 */
export function mapCookiePairs(lines: readonly string[], take: (pair: CookiePair) => string | undefined): readonly string[] {
  const mapped: string[] = []
  for (const line of lines) {
    let isChanged = false
    const parts: string[] = []
    for (const part of line.split(';')) {
      const taken = take(pairOf(part))
      isChanged ||= taken !== undefined
      if (taken !== '') parts.push(taken === undefined ? part : ` ${taken}`)
    }
    const text = isChanged ? parts.join(';') : line
    const first = skipBlanks(text, 0)
    if (first < text.length) mapped.push(isChanged ? text.slice(first) : text)
  }
  return mapped
}

function pairOf(part: string): CookiePair {
  const equals = part.indexOf('=')
  return equals < 0 ? { name: '', value: trimBlanks(part, 0) } : { name: trimBlanks(part.slice(0, equals), 0), value: trimBlanks(part, equals + 1) }
}
