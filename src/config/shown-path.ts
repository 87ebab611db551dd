import { schemasAt } from './schema-walk.ts'
import { configShape } from './schema.ts'

/** One word or several in camel case, snake case or kebab case; perhaps a number at the end. */
const WORDS = /^[A-Za-z]?[a-z]*(?:[A-Z][a-z]+|[-_][a-z]+)*[0-9]{0,3}$/
const MAX_SHOWN = 24

/**
 * A path as it may be printed. Steps the schema knows are shown, and unknown ones that look like a name. Anything else may be a secret
 * whose colon or quote is missing, and only its length is told.
 */
export function shownPath(path: string): string {
  const steps = path.split('.')
  return steps.map((step, index) => (isKnown(steps.slice(0, index + 1)) ? step : shownName(step))).join('.')
}

function isKnown(steps: readonly string[]): boolean {
  return schemasAt(configShape, steps).length > 0
}

function shownName(name: string): string {
  return name.length <= MAX_SHOWN && WORDS.test(name) ? name : `(a key of ${name.length} characters)`
}
