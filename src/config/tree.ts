/** A place in the configuration: member names and list positions from the top. */
export type Path = readonly (string | number)[]

export type Members = Readonly<Record<string, unknown>>

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `['routes', 0, 'path']` -> `routes.0.path`, the form problems and flags use. */
export function pathText(path: Path): string {
  return path.join('.')
}

/** The value at `path`, or undefined. Own members only, so `__proto__` is a plain name. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)]
    else if (isMembers(value) && Object.hasOwn(value, step)) value = value[step]
    else return undefined
  }
  return value
}

/** A copy of `tree` with `value` at `path`; undefined removes a member. Missing levels appear: a list for a number, else a map. */
export function withValue(tree: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  const below = withValue(valueAt(tree, [step]), rest, value)
  if (Array.isArray(tree) && /^\d+$/.test(String(step))) return Object.assign([...(tree as unknown[])], { [step]: below })
  if (typeof step === 'number' && !isMembers(tree)) return Object.assign([], { [step]: below })
  const kept = Object.entries(isMembers(tree) ? tree : {}).filter(([name]) => name !== String(step))
  return Object.fromEntries(below === undefined ? kept : replaceInOrder(tree, String(step), below, kept))
}

function replaceInOrder(tree: unknown, name: string, value: unknown, kept: [string, unknown][]): [string, unknown][] {
  const position = isMembers(tree) ? Object.keys(tree).indexOf(name) : -1
  return position < 0 ? [...kept, [name, value]] : kept.toSpliced(position, 0, [name, value])
}

/** A copy of `tree` with every scalar and every member passed through `change`; undefined removes it. Depth first, members in order. */
export function mapTree(tree: unknown, change: (value: unknown, path: Path) => unknown, path: Path = []): unknown {
  if (Array.isArray(tree)) return change(tree.map((item, index) => mapTree(item, change, [...path, index])), path)
  if (!isMembers(tree)) return change(tree, path)
  const members = Object.entries(tree).map(([name, value]) => [name, mapTree(value, change, [...path, name])] as const)
  return change(Object.fromEntries(members.filter(([, value]) => value !== undefined)), path)
}
