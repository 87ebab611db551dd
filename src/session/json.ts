import { isJsonObject, type Json, type JsonObject } from './session.ts'

export type JsonFault = 'json' | 'type' | 'number' | 'depth' | 'members'

/** The text is not JSON that can be kept exactly. `fault` says which rule it broke, `offset` where (UTF-16 units). */
export class JsonFaultError extends Error {
  constructor(readonly fault: JsonFault, readonly offset: number, detail: string) {
    super(`${detail} at character ${offset}`)
  }
}

export interface JsonLimits {
  readonly maxDepth: number
  readonly maxMembers: number
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
/** Without escapes, and without control characters, which must be escaped (RFC 8259 section 7). */
// eslint-disable-next-line no-control-regex
const PLAIN_STRING = /^"[^"\\\x00-\x1f]*"$/
const SAFE_INTEGER = /^-?[1-9]\d{0,14}$|^0$/

/** The decimal value as sign, digits without zeros at either end, and exponent: equal texts mean equal numbers. */
function decimalOf(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const significant = withoutTrailingZeros(digits)
  return significant === '' ? `${sign}0` : `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}

/** A loop, since /0+$/ takes quadratic time over zeros that are not at the end. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length
  while (digits[end - 1] === '0') end--
  return digits.slice(0, end)
}

/** Whether an IEEE 754 double carries this number without changing its value (RFC 8259 section 6; -0 does not survive). */
export function isExactNumber(text: string): boolean {
  if (SAFE_INTEGER.test(text)) return true
  const value = Number(text)
  return Number.isFinite(value) && !Object.is(value, -0) && decimalOf(String(value)) === decimalOf(text)
}

/**
 * Parses JSON (RFC 8259) that survives a round trip through this process exactly, or throws JsonFaultError: numbers a double
 * cannot carry, lone surrogates, duplicate members, and whatever exceeds the limits are refused. Names such as `__proto__`
 * become plain own members. Time is linear; depth is bounded before it is used.
 */
export function parseExactJson(text: string, limits: JsonLimits): Json {
  const parser = new ExactParser(text, limits)
  return parser.parseDocument()
}

/** As parseExactJson, for a text that must be an object. */
export function parseExactObject(text: string, limits: JsonLimits): JsonObject {
  const value = parseExactJson(text, limits)
  if (!isJsonObject(value)) throw new JsonFaultError('type', 0, 'expected a JSON object')
  return value
}

class ExactParser {
  private at = 0
  private members = 0

  constructor(private readonly text: string, private readonly limits: JsonLimits) {}

  parseDocument(): Json {
    const value = this.parseValue(0)
    this.skipSpace()
    if (this.at !== this.text.length) this.fail('json', 'unexpected text after the value')
    return value
  }

  private parseValue(depth: number): Json {
    this.skipSpace()
    switch (this.text[this.at]) {
      case '{': return this.parseObject(depth + 1)
      case '[': return this.parseArray(depth + 1)
      case '"': return this.parseString()
      case 't': return this.parseWord('true', true)
      case 'f': return this.parseWord('false', false)
      case 'n': return this.parseWord('null', null)
      default: return this.parseNumber()
    }
  }

  private parseObject(depth: number): JsonObject {
    this.enter(depth)
    const object: Record<string, Json> = {}
    if (this.take('}')) return object
    do {
      this.skipSpace()
      if (this.text[this.at] !== '"') this.fail('json', 'expected a member name')
      const name = this.parseString()
      if (Object.hasOwn(object, name)) this.fail('json', 'duplicate member')
      if (!this.take(':')) this.fail('json', 'expected ":"')
      this.count()
      define(object, name, this.parseValue(depth))
    } while (this.take(','))
    if (!this.take('}')) this.fail('json', 'expected "," or "}"')
    return object
  }

  private parseArray(depth: number): Json[] {
    this.enter(depth)
    const elements: Json[] = []
    if (this.take(']')) return elements
    do {
      this.count()
      elements.push(this.parseValue(depth))
    } while (this.take(','))
    if (!this.take(']')) this.fail('json', 'expected "," or "]"')
    return elements
  }

  private parseString(): string {
    const start = this.at
    let end = this.text.indexOf('"', start + 1)
    while (end > 0 && this.isEscaped(end, start)) end = this.text.indexOf('"', end + 1)
    if (end < 0) this.fail('json', 'unterminated string')
    this.at = end + 1
    const quoted = this.text.slice(start, end + 1)
    const value = PLAIN_STRING.test(quoted) ? quoted.slice(1, -1) : this.unescape(quoted)
    if (value === undefined) throw new JsonFaultError('json', start, 'malformed string')
    if (!value.isWellFormed()) throw new JsonFaultError('json', start, 'lone surrogate in a string')
    return value
  }

  private isEscaped(quote: number, start: number): boolean {
    let backslashes = 0
    while (quote - backslashes - 1 > start && this.text[quote - backslashes - 1] === '\\') backslashes++
    return backslashes % 2 === 1
  }

  private unescape(quoted: string): string | undefined {
    try {
      return JSON.parse(quoted) as string
    } catch {
      return undefined
    }
  }

  private parseNumber(): number {
    NUMBER.lastIndex = this.at
    const token = NUMBER.exec(this.text)?.[0]
    if (token === undefined) this.fail('json', this.at >= this.text.length ? 'unexpected end' : 'unexpected character')
    if (!isExactNumber(token)) this.fail('number', 'a number that would not survive unchanged')
    this.at += token.length
    return Number(token)
  }

  private parseWord<T extends Json>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('json', 'unexpected character')
    this.at += word.length
    return value
  }

  private enter(depth: number): void {
    if (depth > this.limits.maxDepth) this.fail('depth', `nested deeper than ${this.limits.maxDepth}`)
    this.at++
  }

  private count(): void {
    if (++this.members > this.limits.maxMembers) this.fail('members', `more than ${this.limits.maxMembers} members`)
  }

  private take(character: string): boolean {
    this.skipSpace()
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  private skipSpace(): void {
    while (isSpace(this.text.charCodeAt(this.at))) this.at++
  }

  private fail(fault: JsonFault, detail: string): never {
    throw new JsonFaultError(fault, this.at, detail)
  }
}

/** Makes `__proto__` a member like any other, as assigning would not. */
export function define(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
  else object[name] = value
}

/** RFC 8259 section 2. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** Counts depth and members of a value; false when it exceeds the limits. */
export function isWithinLimits(value: Json, limits: JsonLimits): boolean {
  let members = 0
  const visit = (node: Json, depth: number): boolean => {
    if (typeof node !== 'object' || node === null) return true
    if (depth > limits.maxDepth) return false
    const children: readonly Json[] = Array.isArray(node) ? (node as readonly Json[]) : Object.values(node)
    members += children.length
    return members <= limits.maxMembers && children.every((child) => visit(child, depth + 1))
  }
  return visit(value, 1)
}
