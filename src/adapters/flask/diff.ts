import { canonicalText } from './json-printer.ts'
import type { Members } from './lossless-json.ts'

/** What an app did to a session, member by member. Empty when it changed nothing. */
export interface MembersDiff {
  readonly set: Members
  readonly removed: ReadonlySet<string>
}

/**
 * What turns `sent` into `returned`. Values are compared by what Python reads in them, so a change deep inside counts and a mere
 * re-formatting does not.
 */
export function diffMembers(sent: Members, returned: Members): MembersDiff {
  const set = new Map([...returned].filter(([name, text]) => !isSameText(sent.get(name), text)))
  const removed = new Set([...sent.keys()].filter((name) => !returned.has(name)))
  return { set, removed }
}

/**
 * `fresh` with the same changes. Members the diff does not name keep their text byte for byte, so what a parallel request
 * changed meanwhile stays; of two changes to one member the later commit wins. Idempotent.
 */
export function applyDiff(fresh: Members, diff: MembersDiff): Members {
  const members = new Map([...fresh].filter(([name]) => !diff.removed.has(name)))
  for (const [name, text] of diff.set) members.set(name, text)
  return members
}

export function isEmptyDiff(diff: MembersDiff): boolean {
  return diff.set.size === 0 && diff.removed.size === 0
}

function isSameText(left: string | undefined, right: string): boolean {
  return left === right || (left !== undefined && canonicalText(left) === canonicalText(right))
}
