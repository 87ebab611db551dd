import { JAR_TEXT, type MemberEdits } from '../../session/mutation.ts'
import type { Json, JsonObject } from '../../session/session.ts'
import type { MembersDiff } from './diff.ts'
import type { Members } from './lossless-json.ts'
import { membersOfTyped, typedOfMembers } from './members.ts'

/**
 * A value's exact text is kept beside the data where it is not what our own printer makes of the typed value: keys in an order of the
 * app's (`sort_keys` off), characters it does not escape. So every untouched value goes back byte for byte. Names in the jar:
 * `text:<cookie>:<member>`.
 */
export interface KeptTexts {
  /** The texts kept in a session's jar, by member. */
  textsIn(jar: JsonObject | undefined): Members
  /** What of these members has to be kept. */
  jarOf(members: Members): JsonObject
  /** What a change of members means for the jar. */
  editsFor(diff: MembersDiff, jar: JsonObject | undefined): MemberEdits
}

export function createKeptTexts(cookieName: string): KeptTexts {
  const prefix = `${JAR_TEXT}${cookieName}:`

  function jarOf(members: Members): JsonObject {
    const printed = membersOfTyped(typedOfMembers(members))
    return Object.fromEntries([...members].filter(([name, text]) => printed.get(name) !== text).map(([name, text]) => [prefix + name, text]))
  }

  return {
    jarOf,
    textsIn(jar) {
      if (jar === undefined) return NONE
      const own = Object.entries(jar).filter((entry): entry is [string, string] => entry[0].startsWith(prefix) && typeof entry[1] === 'string')
      return new Map(own.map(([name, text]) => [name.slice(prefix.length), text]))
    },
    editsFor({ set, removed }, jar = {}) {
      const edits = new Map<string, Json | undefined>(Object.entries(jarOf(set)))
      for (const name of [...set.keys(), ...removed]) {
        if (Object.hasOwn(jar, prefix + name) && !edits.has(prefix + name)) edits.set(prefix + name, undefined)
      }
      return edits
    },
  }
}

const NONE: Members = new Map()
