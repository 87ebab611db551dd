import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, Node, YAMLError } from 'yaml'
import type { ConfigProblem } from '../errors.ts'
import { pathText, type Path } from './tree.ts'

/** A configuration file as plain data, with the line every value stands on. */
export interface YamlSource {
  /** Maps, lists, strings, numbers, booleans and null; undefined when the text has no content or does not parse. */
  readonly tree: unknown
  readonly problems: readonly ConfigProblem[]
  /** The line (from 1) of the value at `path`, or of the nearest level above it that the file has. */
  lineOf(path: Path): number | undefined
}

const MAX_BYTES = 1_048_576
const MAX_DEPTH = 64
const MAX_NODES = 50_000
/** One missing quote can make every later line wrong too. */
const MAX_SYNTAX_PROBLEMS = 10

/**
 * Parses YAML 1.2. Duplicate keys, several documents and unknown tags are problems. Messages never quote the text, since the line
 * that does not parse may be the one with the secret.
 */
export function parseYaml(text: string): YamlSource {
  if (text.length > MAX_BYTES) return unreadable('is larger than 1 MB')
  if (isNestedTooDeeply(text)) return unreadable('is nested too deeply')
  const lineCounter = new LineCounter()
  let document: Document
  try {
    document = parseDocument(text, { version: '1.2', uniqueKeys: true, strict: true, prettyErrors: false, logLevel: 'error', lineCounter })
  } catch {
    return unreadable('is not YAML that can be parsed')
  }
  const lines = new Map<string, number>()
  const problems = [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_PROBLEMS).map((error) => syntaxProblem(error, lineCounter))
  if (problems.length > 0) return { tree: undefined, problems, lineOf: () => undefined }

  const reader = new NodeReader(document, lineCounter, lines)
  const tree = document.contents === null ? undefined : reader.read(document.contents, [])
  return { tree, problems: reader.problems, lineOf: (path) => nearestLine(lines, path) }
}

/**
 * A look at the text before it is parsed: the parser recurses, and a regular expression compiled at the end of the stack ends the
 * process (V8 calls it out of memory), which no `catch` sees. No configuration comes near: 64 brackets, 64 "- " in a row, 128 columns.
 */
function isNestedTooDeeply(text: string): boolean {
  let open = 0
  for (const line of text.split('\n')) {
    if (/^\s*#/.test(line)) continue
    if (/^[ \t]{128}/.test(line) || /(?:[-?:][ \t]+){64}/.test(line)) return true
    for (const character of line) {
      if (character === '[' || character === '{') open++
      else if ((character === ']' || character === '}') && open > 0) open--
      if (open > MAX_DEPTH) return true
    }
  }
  return false
}

function unreadable(message: string): YamlSource {
  return { tree: undefined, problems: [{ path: '', message }], lineOf: () => undefined }
}

function nearestLine(lines: ReadonlyMap<string, number>, path: Path): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const line = lines.get(pathText(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return undefined
}

/** YAML nodes to plain data. Bounded, so that a few lines of aliases cannot become gigabytes. */
class NodeReader {
  readonly problems: ConfigProblem[] = []
  private nodes = 0

  constructor(
    private readonly document: Document,
    private readonly counter: LineCounter,
    private readonly lines: Map<string, number>,
  ) {}

  /** The node as data; an alias that nothing defines is a problem. */
  read(node: unknown, path: Path): unknown {
    const resolved = isAlias(node) ? node.resolve(this.document) : node
    this.note(node, path)
    if (resolved === undefined) return this.refuse(path, `not valid YAML: ${EXPLANATIONS.BAD_ALIAS ?? ''}`)
    if (++this.nodes > MAX_NODES) return this.refuse(path, 'has too many values')
    if (path.length > MAX_DEPTH) return this.refuse(path, 'is nested too deeply')
    if (isMap(resolved)) return this.readMap(resolved.items, path)
    if (isSeq(resolved)) return resolved.items.map((item, index) => this.read(item, [...path, index]))
    if (isScalar(resolved)) return resolved.value
    return null
  }

  private readMap(items: readonly { readonly key: unknown; readonly value: unknown }[], path: Path): unknown {
    const members: [string, unknown][] = []
    for (const { key, value } of items) {
      const name = isScalar(key) ? String(key.value) : undefined
      if (name === undefined) {
        this.refuse(path, 'has a key that is not a plain name')
        continue
      }
      members.push([name, this.read(value, [...path, name])])
      this.note(key, [...path, name])
    }
    return Object.fromEntries(members)
  }

  /** A key's own line wins over its value's, which may start further down. */
  private note(node: unknown, path: Path): void {
    const start = (node as Node | null)?.range?.[0]
    if (start !== undefined) this.lines.set(pathText(path), this.counter.linePos(start).line)
  }

  private refuse(path: Path, message: string): undefined {
    const isNew = !this.problems.some((problem) => problem.message === message)
    if (isNew) this.problems.push({ path: pathText(path.slice(0, 8)), message })
    return undefined
  }
}

const EXPLANATIONS: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_ALIAS: 'a value starts with "*", which is an alias that nothing defines; quote the value',
  BAD_COLLECTION_TYPE: 'a tag does not fit the value',
  BAD_DIRECTIVE: 'a line starts with "%", which is a YAML directive; quote the value',
  BAD_DQ_ESCAPE: 'a "..." string has an unknown escape; use single quotes, or double the backslash',
  BAD_INDENT: 'the indentation is off',
  BAD_SCALAR_START: 'a plain value cannot start with this character; quote the value',
  BLOCK_AS_IMPLICIT_KEY: 'a key and its nested value stand on one line; put the nested part on a line of its own, or quote a value that has ": " in it',
  BLOCK_IN_FLOW: 'a block list or map stands inside [...] or {...}',
  DUPLICATE_KEY: 'the same key is given twice',
  KEY_OVER_1024_CHARS: 'a key is over 1024 characters long; is a quote missing?',
  MISSING_CHAR: 'a closing quote, bracket or comma is missing, or the space after ":"',
  MULTILINE_IMPLICIT_KEY: 'a key spans several lines; is a ":" or a quote missing?',
  MULTIPLE_ANCHORS: 'a value has several anchors',
  MULTIPLE_DOCS: 'there are several documents ("---"); keep one',
  MULTIPLE_TAGS: 'a value has several tags',
  NON_STRING_KEY: 'a key is not a plain name',
  TAB_AS_INDENT: 'a tab is used as indentation; use spaces',
  TAG_RESOLVE_FAILED: 'a value starts with "!", which is a YAML tag; quote the value',
  UNEXPECTED_TOKEN: 'something stands where YAML expects nothing; is a quote, a ":" or an indentation wrong?',
}

function syntaxProblem(error: YAMLError, counter: LineCounter): ConfigProblem {
  const { line, col } = counter.linePos(error.pos[0])
  return { path: '', message: `not valid YAML: ${EXPLANATIONS[error.code] ?? 'it does not parse'} (column ${col})`, at: `line ${line}` }
}
