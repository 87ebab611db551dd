/** A number as it was written: `1.0`, `1e+16`, `NaN`, an integer of any length. Kept as text, so nothing is rounded. */
export class NumberText {
  constructor(readonly text: string) {}
}

/** What JSON text can say, with nothing lost: objects are Maps, so key order is kept and `__proto__` is plain data. */
export type JsonNode = null | boolean | string | NumberText | readonly JsonNode[] | ReadonlyMap<string, JsonNode>

/** The values beyond JSON that a Flask or Flask-Session session can hold. */
export type PyObject =
  | { readonly kind: 'tuple'; readonly items: readonly PyValue[] }
  | { readonly kind: 'set'; readonly items: readonly PyValue[] }
  /** A dict with at least one key that is not text. */
  | { readonly kind: 'map'; readonly entries: readonly (readonly [PyValue, PyValue])[] }
  | { readonly kind: 'markup'; readonly text: string }
  /** 32 lower-case hexadecimal digits. */
  | { readonly kind: 'uuid'; readonly hex: string }
  /** `2024-05-06T07:08:09[.ffffff][Z|+hh:mm[:ss]]`; without a zone it is Python's naive datetime. */
  | { readonly kind: 'datetime'; readonly iso: string }
  | { readonly kind: 'timedelta'; readonly days: number; readonly seconds: number; readonly microseconds: number }
  /** Tagged JSON that only the app understands; carried as it is. */
  | { readonly kind: 'opaque'; readonly node: JsonNode }

/**
 * A Python value. Tagged JSON (Flask's cookie), typed JSON (the gateway's own data) and stored records (pickle, msgpack, JSON)
 * are all read to it and written from it. Uint8Array is `bytes`.
 */
export type PyValue =
  | null | boolean | string | NumberText | Uint8Array | readonly PyValue[] | ReadonlyMap<string, PyValue> | PyObject

export function isList<Value>(value: Value): value is Extract<Value, readonly unknown[]> {
  return Array.isArray(value)
}

export function isDict<Value>(value: Value): value is Extract<Value, ReadonlyMap<string, unknown>> {
  return value instanceof Map
}

/**
 * Whether Python takes the value as a dict's key: no dict and no set is one, nor what holds one. Ours must not be, either: a key that
 * is not text is written as the JSON text of it, and a dict whose key is such a dict doubles its quotes with every level.
 */
export function isHashable(value: PyValue): boolean {
  if (value === null || typeof value !== 'object' || value instanceof NumberText || value instanceof Uint8Array) return true
  if (isList(value)) return value.every(isHashable)
  if (isDict(value)) return false
  return value.kind === 'tuple' ? value.items.every(isHashable) : value.kind !== 'set' && value.kind !== 'map' && value.kind !== 'opaque'
}
