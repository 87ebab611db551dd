import type { JsonObject } from './session.ts'

const texts = new WeakMap<JsonObject, string>()

/** The JSON text of a session's data. A state is measured, stored and signed, but never changes: the text is made once. */
export function dataTextOf(data: JsonObject): string {
  const known = texts.get(data)
  if (known !== undefined) return known
  const text = JSON.stringify(data)
  texts.set(data, text)
  return text
}
