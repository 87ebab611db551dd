import { isJsonObject, type Json } from '../session/session.ts'

/** The shape of a session's data without what it says: names and kinds stay, values go. */
export function redacted(value: Json): Json {
  if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, redacted(member)]))
  if (Array.isArray(value)) return `[${value.length} ${value.length === 1 ? 'element' : 'elements'}]`
  if (typeof value === 'string') return `[text of ${value.length} ${value.length === 1 ? 'character' : 'characters'}]`
  return value === null ? null : `[${typeof value}]`
}
