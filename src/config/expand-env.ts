import type { ConfigProblem } from '../errors.ts'
import { SECRET_MEMBERS } from './secret-files.ts'
import { mapTree, pathText } from './tree.ts'

export interface Expanded {
  readonly tree: unknown
  /** Paths of the strings that held a variable: text, where the file itself would have had a number or a boolean. */
  readonly expanded: ReadonlySet<string>
  readonly problems: readonly ConfigProblem[]
}

/** `$${` is a literal `${`; `${NAME}` and `${NAME:-default}` are variables; anything else after `${` is a mistake. */
const PLACEHOLDER = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every string. As in a shell, the default also stands in for an empty variable.
 * One pass: what a variable holds is never expanded again. An unset variable is a problem and its string is left out of the tree.
 */
export function expandEnv(tree: unknown, env: NodeJS.ProcessEnv): Expanded {
  const expanded = new Set<string>()
  const problems: ConfigProblem[] = []
  const changed = mapTree(tree, (value, path) => {
    if (typeof value !== 'string' || !value.includes('${')) return value
    expanded.add(pathText(path))
    const remedy = SECRET_MEMBERS.includes(String(path.at(-1))) ? 'set it' : undefined
    return expandText(value, env, (message) => problems.push({ path: pathText(path), message }), remedy)
  })
  return { tree: changed, expanded, problems }
}

function expandText(text: string, env: NodeJS.ProcessEnv, report: (message: string) => void, remedy?: string): string | undefined {
  let failed = false
  const fail = (message: string): string => {
    failed = true
    report(message)
    return ''
  }
  const result = text.replace(PLACEHOLDER, (whole: string, name?: string, fallback?: string) => {
    if (whole === '$${') return '${'
    if (name === undefined) return fail('holds a "${" that is not ${NAME} or ${NAME:-default}; write $${ for a literal one')
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (fallback !== undefined) return value || fallback
    return value ?? fail(`the environment variable ${name} is not set; ${remedy ?? `set it, or write \${${name}:-default}`}`)
  })
  return failed ? undefined : result
}
