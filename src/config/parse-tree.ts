import { z } from 'zod'
import { describeIssue, type Finding } from './describe-issue.ts'
import { isOptional, schemasAt, standInFor } from './schema-walk.ts'
import { configShape, type ParsedConfig } from './schema.ts'
import { type Path, pathText, valueAt, withValue } from './tree.ts'

export interface ParsedTree {
  /** With stand-ins where the operator's value is wrong, so that the rest can be judged; undefined when even that failed. */
  readonly config: ParsedConfig | undefined
  readonly findings: readonly Finding[]
}

const MAX_ROUNDS = 12

/**
 * Holds the tree against the schema and finds every problem. A schema stops judging an object at its first wrong member, so wrong
 * values are replaced by ones that fit and the tree is judged again, until it passes. `broken` are paths with a problem already known:
 * nothing under them is reported again.
 */
export function parseTree(tree: unknown, broken: Set<string>): ParsedTree {
  const findings: Finding[] = []
  const attempts = new Map<string, number>()
  let repaired: unknown = tree ?? {}
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = z.safeParse(configShape, repaired)
    if (result.success) return { config: result.data, findings }
    const found = result.error.issues.flatMap((issue) => describeIssue(issue, configShape, repaired))
    findings.push(...found.filter(({ place }) => !isAffected(broken, place)))
    if (found.some(({ place }) => place.length === 0)) break
    for (const { place } of found) {
      broken.add(pathText(place))
      const attempt = attempts.get(pathText(place)) ?? 0
      attempts.set(pathText(place), attempt + 1)
      repaired = repair(repaired, place.slice(0, Math.max(1, place.length - attempt)))
    }
  }
  return { config: undefined, findings }
}

/** Whether something at, above or under `path` is known to be wrong. */
export function isAffected(broken: ReadonlySet<string>, path: Path | string): boolean {
  const text = typeof path === 'string' ? path : pathText(path)
  for (const wrong of broken) {
    if (text === wrong || text.startsWith(`${wrong}.`) || wrong.startsWith(`${text}.`)) return true
  }
  return false
}

/** Takes the value at `place` away, or puts one there that fits where there has to be one. */
function repair(tree: unknown, place: Path): unknown {
  const schemas = schemasAt(configShape, place, tree)
  const isItem = Array.isArray(valueAt(tree, place.slice(0, -1)))
  if (!isItem && (schemas.length === 0 || schemas.some(isOptional))) return withValue(tree, place, undefined)
  for (const schema of schemas) {
    const standIn = standInFor(schema)
    if (standIn !== undefined) return withValue(tree, place, standIn)
  }
  return isItem ? tree : withValue(tree, place, undefined)
}
