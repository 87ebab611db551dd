/** A reader of bytes that strangers choose, and what it promises for every one of them. */
export interface FuzzedParser {
  /** Where the search begins: inputs of every form the grammar has. Text is latin-1 where it can be, else UTF-8. */
  readonly seeds: readonly (string | Uint8Array)[]
  /** What the search puts in: words of the grammar, and the characters it turns on. */
  readonly words: readonly string[]
  /** The most one input is expected to hold, which is read in linear time; default 64 KB. */
  readonly maxBytes?: number
  /** Reads one input. Throws when a promise is broken: an error that is not the parser's own, or a result that contradicts the input. */
  check(input: Buffer): void | Promise<void>
}

export const NAMES = [
  'cookies', 'app-cookies', 'set-cookies', 'mutations', 'signed-mutations', 'json', 'targets', 'request-heads', 'flask-cookies', 'pickles', 'msgpack',
  'records', 'frames', 'memcached', 'config', 'responses',
] as const
export type ParserName = (typeof NAMES)[number]

/** What `parse` gives, or undefined when it refuses by an error of its own kind. Every other error goes on. */
export function unlessRefused<T>(isOwn: (error: unknown) => boolean, parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (isOwn(error)) return undefined
    throw error
  }
}

/** Header values as node:http gives them: one line each, latin-1, without the bytes that no line can hold. */
export function fieldLines(input: Buffer): string[] {
  return input.toString('latin1').split('\n').map((line) => line.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').replace(/^[ \t]+|[ \t]+$/g, ''))
}

export function bytesOf(text: string | Uint8Array): Buffer {
  if (typeof text !== 'string') return Buffer.from(text)
  return Buffer.from(text, /^[\0-\xff]*$/.test(text) ? 'latin1' : 'utf8')
}
