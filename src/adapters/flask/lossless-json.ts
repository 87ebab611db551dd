import { NumberText } from './python-value.ts'
import type { JsonNode } from './python-value.ts'

/** A session's members: name -> the exact JSON text of the value, as it was written. Insertion order is key order. */
export type Members = ReadonlyMap<string, string>

/** One member, both as text and as value. */
export interface Member {
  readonly text: string
  readonly node: JsonNode
}

/** Python's own recursion limit: deeper text makes the app fail, so it is not JSON for us either. */
export const MAX_JSON_DEPTH = 1000
/** Python refuses to convert longer integers (sys.get_int_max_str_digits). */
const MAX_INTEGER_DIGITS = 4300

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y
const HEX4 = /^[0-9a-fA-F]{4}$/
const CONSTANTS: readonly (readonly [string, JsonNode])[] = [
  ['null', null], ['true', true], ['false', false],
  ['NaN', new NumberText('NaN')], ['Infinity', new NumberText('Infinity')], ['-Infinity', new NumberText('-Infinity')],
]
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t',
}

class JsonMalformed extends Error {}

/**
 * Reads JSON text as Python's `json.loads` does: NaN and Infinity are numbers, of duplicate keys the last wins, numbers keep their
 * text. Undefined when Python would refuse it, or when it nests deeper than `maxDepth`. Linear time, bounded stack, never throws.
 */
export function parseJson(text: string, maxDepth = MAX_JSON_DEPTH): JsonNode | undefined {
  return parseDocument(text, maxDepth, (reader) => reader.value())
}

/** The members of the object in `text`, each with its exact source text. Undefined when `text` is not one JSON object. */
export function parseMembers(text: string, maxDepth = MAX_JSON_DEPTH): ReadonlyMap<string, Member> | undefined {
  return parseDocument(text, maxDepth, (reader) => reader.members())
}

/** Like parseMembers, texts only. */
export function splitMembers(text: string, maxDepth = MAX_JSON_DEPTH): Members | undefined {
  const members = parseMembers(text, maxDepth)
  return members && new Map([...members].map(([name, member]) => [name, member.text]))
}

function parseDocument<Result>(text: string, maxDepth: number, read: (reader: Reader) => Result): Result | undefined {
  const reader = new Reader(text, maxDepth)
  try {
    reader.skipSpace()
    const result = read(reader)
    reader.end()
    return result
  } catch (error) {
    if (error instanceof JsonMalformed) return undefined
    throw error
  }
}

class Reader {
  private at = 0
  private depth = 0

  constructor(private readonly text: string, private readonly maxDepth: number) {}

  value(): JsonNode {
    const first = this.text.charCodeAt(this.at)
    if (first === 0x22) return this.string()
    if (first === 0x7b) return this.object((node) => node)
    if (first === 0x5b) return this.array()
    const constant = this.constant()
    return constant === undefined ? this.number() : constant
  }

  members(): ReadonlyMap<string, Member> {
    if (this.text[this.at] !== '{') throw new JsonMalformed()
    return this.object((node, start) => ({ node, text: this.text.slice(start, this.at) }))
  }

  end(): void {
    this.skipSpace()
    if (this.at !== this.text.length) throw new JsonMalformed()
  }

  skipSpace(): void {
    for (;;) {
      const unit = this.text.charCodeAt(this.at)
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return
      this.at++
    }
  }

  private object<Item>(make: (node: JsonNode, start: number) => Item): Map<string, Item> {
    const object = new Map<string, Item>()
    this.container('}', () => {
      if (this.text[this.at] !== '"') throw new JsonMalformed()
      const name = this.string()
      this.skipSpace()
      this.expect(':')
      this.skipSpace()
      const start = this.at
      object.set(name, make(this.value(), start))
    })
    return object
  }

  private array(): JsonNode[] {
    const items: JsonNode[] = []
    this.container(']', () => items.push(this.value()))
    return items
  }

  private container(close: string, readItem: () => void): void {
    if (++this.depth > this.maxDepth) throw new JsonMalformed()
    this.at++
    this.skipSpace()
    if (this.text[this.at] !== close) {
      for (;;) {
        readItem()
        this.skipSpace()
        if (this.text[this.at] !== ',') break
        this.at++
        this.skipSpace()
      }
    }
    this.expect(close)
    this.depth--
  }

  private expect(mark: string): void {
    if (this.text[this.at] !== mark) throw new JsonMalformed()
    this.at++
  }

  private constant(): JsonNode | undefined {
    const unit = this.text.charCodeAt(this.at)
    if (unit !== 0x2d && (unit < 0x41 || unit > 0x7a)) return undefined
    const found = CONSTANTS.find(([word]) => this.text.startsWith(word, this.at))
    if (!found) return undefined
    this.at += found[0].length
    return found[1]
  }

  private number(): NumberText {
    NUMBER.lastIndex = this.at
    const match = NUMBER.exec(this.text)
    if (!match) throw new JsonMalformed()
    const [text, fraction, exponent] = match
    if (!fraction && !exponent && text.length > MAX_INTEGER_DIGITS && text.replace('-', '').length > MAX_INTEGER_DIGITS) {
      throw new JsonMalformed()
    }
    this.at += text.length
    return new NumberText(text)
  }

  private string(): string {
    let result = ''
    let start = ++this.at
    for (;;) {
      const unit = this.text.charCodeAt(this.at)
      if (unit === 0x22) break
      if (unit === 0x5c) {
        result += this.text.slice(start, this.at) + this.escape()
        start = this.at
      } else if (unit >= 0x20) this.at++
      else throw new JsonMalformed()      // a raw control character, or NaN: the text ended
    }
    return result + this.text.slice(start, this.at++)
  }

  private escape(): string {
    const mark = this.text[this.at + 1] ?? ''
    if (mark === 'u') {
      const digits = this.text.slice(this.at + 2, this.at + 6)
      if (!HEX4.test(digits)) throw new JsonMalformed()
      this.at += 6
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const plain = Object.hasOwn(ESCAPES, mark) ? ESCAPES[mark] : undefined
    if (plain === undefined) throw new JsonMalformed()
    this.at += 2
    return plain
  }
}
