/** One `name=value` of a Cookie line. */
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
    const text = isChanged ? parts.join(';').trimStart() : line
    if (text.trim() !== '') mapped.push(text)
  }
  return mapped
}

function pairOf(part: string): CookiePair {
  const equals = part.indexOf('=')
  return equals < 0 ? { name: '', value: part.trim() } : { name: part.slice(0, equals).trim(), value: part.slice(equals + 1).trim() }
}
