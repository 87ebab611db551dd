import { z } from 'zod'
import type { ConfigProblem } from '../errors.ts'
import { nearestName } from './nearest-name.ts'
import { isScalarSchema, memberNames, schemasAt, walkSchema } from './schema-walk.ts'
import { isMembers, type Path, pathText, valueAt } from './tree.ts'

type Issue = z.core.$ZodIssue

/** A problem with the place whose value has to go for the rest of the file to be judged. */
export interface Finding extends ConfigProblem {
  readonly place: Path
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false', array: 'a list', object: 'a map of keys', record: 'a map of names',
}

/**
 * zod's issue in an operator's words: what is wrong, what to write instead, and the name that was probably meant. Values are never
 * quoted: any of them may be a secret in the wrong place.
 */
export function describeIssue(issue: Issue, schema: z.core.$ZodType, tree: unknown): Finding[] {
  const place = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  const value = valueAt(tree, place)
  const finding = (message: string, at: Path = place): Finding => ({ path: pathText(at), message, place: at })
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => finding(unknownKey(key, place, schema, tree), [...place, key]))
    case 'invalid_key':
      return [finding(issue.issues[0]?.message ?? 'this name is not allowed')]
    case 'invalid_type':
      return [finding(value === undefined ? missing(place, schema, tree) : custom(issue.message) ?? wrongType(WORDS[issue.expected] ?? issue.expected, value))]
    case 'invalid_value':
      return [finding(value === undefined ? missing(place, schema, tree) : oneOf(issue.values.map(String), value))]
    case 'invalid_union':
      return describeUnion(issue, schema, tree, finding)
    case 'too_small':
      return [finding(custom(issue.message) ?? `must be at least ${String(issue.minimum)}${unitOf(issue.origin)}`)]
    case 'too_big':
      return [finding(custom(issue.message) ?? `must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`)]
    case 'custom': case 'invalid_format': case 'invalid_element': case 'not_multiple_of':
      return [finding(custom(issue.message) ?? 'has the wrong form')]
  }
}

function describeUnion(issue: z.core.$ZodIssueInvalidUnion, schema: z.core.$ZodType, tree: unknown, finding: (message: string, at?: Path) => Finding): Finding[] {
  const place = issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
  const value = valueAt(tree, place)
  if (value === undefined) return [finding(missing(place, schema, tree))]
  if (issue.errors.length === 0) {
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : []
    return [finding(options.length > 0 ? oneOf(options, value) : custom(issue.message) ?? 'has the wrong form')]
  }
  // The branch that got furthest is the one that was meant.
  const meant = issue.errors.find(([first]) => first !== undefined && (first.path.length > 0 || !['invalid_type', 'invalid_value'].includes(first.code)))
  if (meant) return meant.flatMap((inner) => describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, schema, tree))
  const wanted = issue.errors.flatMap(([first]) => {
    if (first?.code === 'invalid_type') return [WORDS[first.expected] ?? first.expected]
    return first?.code === 'invalid_value' ? first.values.map(String) : []
  })
  return [finding(wrongType([...new Set(wanted)].join(' or '), value))]
}

/** Our own messages start in lower case; zod's ("Invalid input: ...") do not and can quote the input. */
function custom(message: string): string | undefined {
  return /^[A-Z][a-z]+ |^Invalid|^Too |^Unrecognized/.test(message) ? undefined : message
}

function wrongType(expected: string, value: unknown): string {
  if (typeof value === 'string' && expected === 'true or false' && /^(yes|no|on|off)$/i.test(value)) {
    return `expected true or false; "${value}" is text in YAML 1.2`
  }
  return `expected ${expected}, not ${kindOf(value)}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'text'
  return isMembers(value) ? 'a map' : typeof value === 'boolean' ? 'true or false' : 'a number'
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' || origin === 'set' ? ' items' : ''
}

function missing(place: Path, schema: z.core.$ZodType, tree: unknown): string {
  const described = schemasAt(schema, place, tree).map((at) => z.globalRegistry.get(at)?.description).find(Boolean)
  return `is missing${described ? `: ${lowerFirst(described)}` : ''}`
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text
}

function oneOf(values: readonly string[], value: unknown): string {
  const near = typeof value === 'string' ? nearestName(value, values) : undefined
  return `expected one of ${values.join(', ')}${near ? `; did you mean ${near}?` : ''}`
}

function unknownKey(key: string, place: Path, schema: z.core.$ZodType, tree: unknown): string {
  const [pasted] = /^(secret|password|privateKey)(?=[:=])/.exec(key) ?? []
  if (pasted !== undefined) return `is not a key; write "${pasted}: ...", with a space after the colon`
  const names = schemasAt(schema, place, tree).flatMap((at) => memberNames(at, valueAt(tree, place)))
  const near = nearestName(key, names)
  if (near !== undefined) return `is not a key here; did you mean "${near}"?`
  const elsewhere = pathsEndingIn(key, schema)
  const known = elsewhere.length > 0 ? `did you mean ${elsewhere.slice(0, 2).join(' or ')}?` : names.length > 0 ? `known: ${names.join(', ')}` : 'remove it'
  return `is not a key here; ${known}`
}

function pathsEndingIn(name: string, schema: z.core.$ZodType): string[] {
  const found = new Set<string>()
  walkSchema(schema, (path, at) => {
    if (path.at(-1) === name && isScalarSchema(at)) found.add(path.join('.'))
  })
  return [...found]
}
