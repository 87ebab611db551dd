/** One element of Forwarded (RFC 7239 section 4): what one proxy said, by lower-case parameter name. */
export type ForwardedElement = ReadonlyMap<string, string>

/** A parameter, its value a token (read generously: many write bare addresses and ports) or a quoted string, and what separates it from the next. */
const PARAMETER = /[ \t]*([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ \t",;]+))[ \t]*(?:([;,])|$)/sy
const EMPTY = /[ \t]*[;,]/y

/** The elements of all lines in order. Undefined when anything is malformed: half of a chain could blame the wrong client. */
export function parseForwarded(lines: readonly string[]): ForwardedElement[] | undefined {
  const text = lines.join(',')
  const elements: Map<string, string>[] = []
  let current: Map<string, string> | undefined
  for (let at = 0; at < text.length;) {
    const empty = matchAt(EMPTY, text, at)
    if (empty) {
      if (empty[0].endsWith(',')) current = undefined
      at += empty[0].length
      continue
    }
    if (text.slice(at).trim() === '') break
    const parameter = matchAt(PARAMETER, text, at)
    if (!parameter) return undefined
    const [whole, name = '', quoted, token = '', separator] = parameter
    if (!current) {
      current = new Map<string, string>()
      elements.push(current)
    }
    if (current.has(name.toLowerCase())) return undefined
    current.set(name.toLowerCase(), quoted === undefined ? token : quoted.replace(/\\(.)/gs, '$1'))
    if (separator === ',') current = undefined
    at += whole.length
  }
  return elements
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** The address in a node of Forwarded or X-Forwarded-For: without port and brackets. Other names (`unknown`, `_hidden`) as they are. */
export function addressOf(node: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(node)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(node)?.[1] ?? node
}
