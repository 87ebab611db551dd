import { isIntegerText } from './python-number.ts'
import { isList, NumberText } from './python-value.ts'
import type { PyObject, PyValue } from './python-value.ts'

/** Why bytes cannot be read; becomes the `reason` of a result and never leaves this folder as an exception. */
export class Unreadable extends Error {}

/** What a pickle builds while it runs: lists, dicts and sets can still grow, and may contain themselves. */
export type PickleNode =
  | null | boolean | string | NumberText | Uint8Array | PickleNode[] | PyObject
  | PickleDict | PickleSet | PickleTuple | PickleGlobal | PickleZone | PickleUuid

export class PickleDict {
  private readonly entries = new Map<KeyIdentity, [PickleNode, PickleNode]>()

  set(key: PickleNode, value: PickleNode): void {
    this.entries.set(identityOfKey(key), [key, value])
  }

  get(name: string): PickleNode | undefined {
    return this.entries.get(name)?.[1]
  }

  list(): readonly (readonly [PickleNode, PickleNode])[] {
    return [...this.entries.values()]
  }
}
export class PickleSet {
  readonly items: PickleNode[] = []
}
export class PickleTuple {
  constructor(readonly items: readonly PickleNode[]) {}
}
/** A name of an allowed class. It is only ever compared, never looked up. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}
export class PickleZone {
  constructor(readonly offsetSeconds: number) {}
}
export class PickleUuid {
  hex: string | undefined
}

export interface FreezeLimits {
  readonly maxDepth: number
  /** Two for a value, one for a character, counted as often as they are reached: a pickle can refer to one list many times. */
  readonly maxSize: number
}

/** The finished value, as a tree. Throws Unreadable when it contains itself, is too large, or is no data. */
export function freeze(root: PickleNode, limits: FreezeLimits): PyValue {
  let budget = limits.maxSize
  const spend = (cost: number) => {
    budget -= cost
    if (budget < 0) throw new Unreadable('it unfolds to too much data')
  }
  const visit = (node: PickleNode, depth: number): PyValue => {
    if (depth > limits.maxDepth) throw new Unreadable('it nests too deeply, or contains itself')
    spend(2)
    const visitAll = (nodes: readonly PickleNode[]) => nodes.map((item) => visit(item, depth + 1))
    if (typeof node === 'string' || node instanceof Uint8Array) spend(node.length)
    if (node === null || typeof node !== 'object' || node instanceof Uint8Array) return node
    if (node instanceof NumberText) return (spend(node.text.length), node)
    if (isList(node)) return visitAll(node)
    if (node instanceof PickleTuple) return { kind: 'tuple', items: visitAll(node.items) }
    if (node instanceof PickleSet) return { kind: 'set', items: visitAll(node.items) }
    if (node instanceof PickleDict) return dictOf(node.list().map(([key, value]) => [visit(key, depth + 1), visit(value, depth + 1)] as const))
    if (node instanceof PickleUuid && node.hex !== undefined) return { kind: 'uuid', hex: node.hex }
    if ('kind' in node) return (spend(node.kind === 'markup' ? node.text.length : 0), node)
    throw new Unreadable('a class, a time zone or an unfinished object is no session data')
  }
  return visit(root, 0)
}

/** A Map when all keys are text, else the `map` form. */
export function dictOf(entries: readonly (readonly [PyValue, PyValue])[]): PyValue {
  const isPlain = entries.every(([key]) => typeof key === 'string')
  return isPlain ? new Map(entries as readonly (readonly [string, PyValue])[]) : { kind: 'map', entries }
}

/** What a Map compares keys by. A long text recalled a thousand times must not be copied or hashed again each time. */
type KeyIdentity = string | boolean | null | bigint | number

function identityOfKey(key: PickleNode): KeyIdentity {
  if (key === null || typeof key === 'string' || typeof key === 'boolean') return key
  if (key instanceof NumberText) return isIntegerText(key.text) ? BigInt(key.text) : Number(key.text)
  throw new Unreadable('a dict key is neither text, number, bool nor None')
}
