import { define } from './json.ts'
import { isJsonObject, type Json, type JsonObject } from './session.ts'

/** Applies `patch` to `target` (RFC 7396 section 2): null removes a member, objects merge, all else replaces. Idempotent. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  return mergeObject(isJsonObject(target) ? target : {}, patch)
}

/** mergePatch for two objects; the result is always an object. */
export function mergeObject(target: JsonObject, patch: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...target }
  for (const name of Object.keys(patch)) {
    const value = patch[name] as Json
    if (value === null) delete merged[name]
    else define(merged, name, mergePatch(Object.hasOwn(target, name) ? target[name] : undefined, value))
  }
  return merged
}
