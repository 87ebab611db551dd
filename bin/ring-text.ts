import { isMap, isSeq, LineCounter, parseDocument, stringify } from 'yaml'
import type { Alg, Ring } from './new-key.ts'

/** One key of a ring as it is written, and the lines it stands on: from `first` up to, not including, `end`; from 0. */
export interface RingEntry {
  readonly id: string
  readonly alg: Alg | undefined
  readonly secretFile: string | undefined
  readonly privateKeyFile: string | undefined
  readonly first: number
  readonly end: number
  readonly isFlow: boolean
}

export interface RingText {
  readonly lines: readonly string[]
  /** What stands before the "-" of its entries. */
  readonly indent: string
  readonly entries: readonly RingEntry[]
}

/**
 * The lines of a key ring in a valid configuration, so that a key can be added, moved or taken out while every other character of the
 * file stays. Undefined where a ring is written in another way than one "- " per key, each on lines of its own.
 */
export function readRing(text: string, ring: Ring): RingText | undefined {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter })
  const keys = document.getIn(['keys', ring])
  if (!isSeq(keys) || keys.flow || keys.items.length === 0 || !keys.items.every((item) => isMap(item))) return undefined
  const lines = text.split('\n')
  const entries = keys.items.map((item): RingEntry => {
    const [start = 0, end = start] = item.range ?? []
    const word = (name: string): string | undefined => {
      const value = item.get(name)
      return typeof value === 'string' ? value : undefined
    }
    return {
      id: word('id') ?? '', alg: word('alg') as Alg | undefined, secretFile: word('secretFile'), privateKeyFile: word('privateKeyFile'),
      first: counter.linePos(start).line - 1, end: counter.linePos(end - 1).line, isFlow: item.flow ?? false,
    }
  })
  const indents = entries.map(({ first }) => /^(\s*)- /.exec(lines[first] ?? '')?.[1])
  const [indent] = indents
  const isApart = entries.every(({ first }, index) => index === 0 || first >= (entries[index - 1]?.end ?? 0))
  return indent !== undefined && indents.every((one) => one === indent) && isApart ? { lines, indent, entries } : undefined
}

/** The text with a new key at the end of the ring, written as its neighbours are. */
export function withEntry({ lines, indent, entries }: RingText, entry: Readonly<Record<string, string>>): string {
  const last = entries.at(-1)
  const written = last?.isFlow && !Object.values(entry).some((value) => value.includes('\n'))
    ? [`- ${stringify(entry, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`]
    : stringify([entry], { lineWidth: 0 }).trimEnd().split('\n')
  return lines.toSpliced(last?.end ?? 0, 0, ...written.map((line) => indent + line)).join('\n')
}

/** The text with the ring's last key in front of its first. */
export function withLastFirst({ lines, entries }: RingText): string {
  const first = entries[0]?.first ?? 0
  const { first: from = 0, end = 0 } = entries.at(-1) ?? {}
  return lines.toSpliced(from, end - from).toSpliced(first, 0, ...lines.slice(from, end)).join('\n')
}

/** The text without the ring's last key. */
export function withoutLast({ lines, entries }: RingText): string {
  const { first = 0, end = 0 } = entries.at(-1) ?? {}
  return lines.toSpliced(first, end - first).join('\n')
}
