import { isJsonObject, type Json, type JsonObject } from './session.ts'

/** A path into the data: member names from the top. `*` at the end means "everything below". */
export type DataPath = readonly string[]

/** `user.id` -> ['user', 'id']; `cart.*` and `cart` mean the same subtree; `*` is the whole. */
export function parsePath(text: string): DataPath {
  const names = text.split('.')
  return names.at(-1) === '*' ? names.slice(0, -1) : names
}

/** Whether the path is the whole of the data. */
export function isWhole(path: DataPath): boolean {
  return path.length === 0
}

/** The value at `path`, or undefined. Only own members count, so `__proto__` and `constructor` are plain names. */
export function valueAt(data: Json | undefined, path: DataPath): Json | undefined {
  let value = data
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** The part of `data` that lies under any of `paths`, members in their order. */
export function project(data: JsonObject, paths: readonly DataPath[]): JsonObject {
  if (paths.some(isWhole)) return data
  const kept: [string, Json][] = []
  for (const [name, value] of Object.entries(data)) {
    const below = paths.filter((path) => path[0] === name).map((path) => path.slice(1))
    if (below.some(isWhole)) kept.push([name, value])
    else if (below.length > 0 && isJsonObject(value)) {
      const part = project(value, below)
      if (Object.keys(part).length > 0) kept.push([name, part])
    }
  }
  return Object.fromEntries(kept)
}

/** Whether everything `patch` touches lies under one of `paths`. An object is followed down: it merges, it does not replace. */
export function isPatchWithin(patch: JsonObject, paths: readonly DataPath[]): boolean {
  if (paths.some(isWhole)) return true
  return Object.entries(patch).every(([name, value]) => {
    const below = paths.filter((path) => path[0] === name).map((path) => path.slice(1))
    if (below.some(isWhole)) return true
    return below.length > 0 && isJsonObject(value) && isPatchWithin(value, below)
  })
}

/** Whether two values are the same JSON, whatever the order of members. */
export function isSameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isSameJson(item as Json, b[i] as Json))
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isSameJson(a[name], b[name]))
}
