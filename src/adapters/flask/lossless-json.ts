import { isIntegerText } from './python-number.ts'
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

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y
const CONSTANTS: readonly (readonly [string, JsonNode])[] = [
  ['null', null], ['true', true], ['false', false],
  ['NaN', new NumberText('NaN')], ['Infinity', new NumberText('Infinity')], ['-Infinity', new NumberText('-Infinity')],
]
const [QUOTE, BACKSLASH, COLON, COMMA, CLOSE_BRACE, CLOSE_BRACKET] = [0x22, 0x5c, 0x3a, 0x2c, 0x7d, 0x5d]

/** Shared by all empty containers: a megabyte of `{},` would make 350 000 Maps. */
const NO_MEMBERS: ReadonlyMap<string, never> = new Map<string, never>()
const NO_ITEMS: readonly JsonNode[] = Object.freeze([])

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
    if (first === QUOTE) return this.string()
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

  private object<Item>(make: (node: JsonNode, start: number) => Item): ReadonlyMap<string, Item> {
    if (this.opens(CLOSE_BRACE)) return NO_MEMBERS
    const object = new Map<string, Item>()
    do {
      if (this.text.charCodeAt(this.at) !== QUOTE) throw new JsonMalformed()
      const name = this.string()
      this.skipSpace()
      if (this.text.charCodeAt(this.at++) !== COLON) throw new JsonMalformed()
      this.skipSpace()
      const start = this.at
      object.set(name, make(this.value(), start))
    } while (this.continues(CLOSE_BRACE))
    return object
  }

  private array(): readonly JsonNode[] {
    if (this.opens(CLOSE_BRACKET)) return NO_ITEMS
    const items: JsonNode[] = [this.value()]     // pushing to an empty array would reserve seventeen places
    while (this.continues(CLOSE_BRACKET)) items.push(this.value())
    return items
  }

  /** Takes the opening mark; true when the closing one follows at once, and is taken too. */
  private opens(close: number): boolean {
    if (++this.depth > this.maxDepth) throw new JsonMalformed()
    this.at++
    this.skipSpace()
    return this.text.charCodeAt(this.at) === close && this.closes()
  }

  /** After an item: true behind a comma, false behind the closing mark. */
  private continues(close: number): boolean {
    this.skipSpace()
    const mark = this.text.charCodeAt(this.at)
    if (mark === close) return !this.closes()
    if (mark !== COMMA) throw new JsonMalformed()
    this.at++
    this.skipSpace()
    return true
  }

  private closes(): true {
    this.at++
    this.depth--
    return true
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
    if (!NUMBER.test(this.text)) throw new JsonMalformed()
    const text = this.text.slice(this.at, NUMBER.lastIndex)
    if (text.length > MAX_INTEGER_DIGITS && isIntegerText(text) && text.replace('-', '').length > MAX_INTEGER_DIGITS) throw new JsonMalformed()
    this.at = NUMBER.lastIndex
    return new NumberText(text)
  }

  private string(): string {
    const start = ++this.at
    let isEscaped = false
    for (;;) {
      const unit = this.text.charCodeAt(this.at)
      if (unit === QUOTE) break
      if (!(unit >= 0x20)) throw new JsonMalformed()     // a raw control character, or NaN: the text has ended
      if (unit === BACKSLASH) isEscaped = true
      this.at += unit === BACKSLASH ? 2 : 1
    }
    const end = this.at++
    return isEscaped ? unescape(this.text.slice(start - 1, end + 1)) : this.text.slice(start, end)
  }
}

/** JSON.parse and Python know the same escapes, and both keep lone surrogates. */
function unescape(literal: string): string {
  try {
    return JSON.parse(literal) as string
  } catch {
    throw new JsonMalformed()
  }
}
