import { isJsonObject, type Json, type JsonObject } from './session.ts'

/** Applies `patch` to `target` (RFC 7396 section 2): null removes a member, objects merge, all else replaces. Idempotent. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  return mergeObject(isJsonObject(target) ? target : {}, patch)
}

/** mergePatch for two objects; the result is always an object. */
export function mergeObject(target: JsonObject, patch: JsonObject): JsonObject {
  const merged = new Map(Object.entries(target))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}
