import { ByteReader } from './byte-reader.ts'
import { PickleMachine } from './pickle-machine.ts'
import { freeze, Unreadable } from './pickle-nodes.ts'
import type { PickleNode } from './pickle-nodes.ts'
import { OLD_MEMO_OPCODES, PICKLE_OPCODES, STOP } from './pickle-opcodes.ts'
import type { PyValue } from './python-value.ts'

export interface PickleLimits {
  /** Default 1 MiB. */
  readonly maxBytes?: number
  /** Default 500. */
  readonly maxDepth?: number
  /** Entries of the memo. Default 65536. */
  readonly maxMemo?: number
  /** Of the result: two for a value, one for a character, shared ones counted each time. Default twice `maxBytes`. */
  readonly maxSize?: number
  /** Also BINPUT and LONG_BINPUT, which Python before 3.8 wrote: memo entries, no more. Default false. */
  readonly isProtocol2and3?: boolean
}

export type ReadValue = { readonly ok: true; readonly value: PyValue } | { readonly ok: false; readonly reason: string }

/**
 * Reads a pickle of plain session data (protocols 0, 4, 5). It is a reader of data, not a machine: the few classes it knows are
 * built here (pickle-globals.ts), every other class and every other opcode makes the whole pickle unreadable, and nothing is ever
 * executed. Time and memory are linear in the limits. Never throws.
 */
export function readPickle(bytes: Uint8Array, limits: PickleLimits = {}): ReadValue {
  const { maxBytes = 1 << 20, maxDepth = 500, maxSize = 2 * maxBytes, maxMemo = 65_536, isProtocol2and3 = false } = limits
  if (bytes.length > maxBytes) return { ok: false, reason: `it has more than ${maxBytes} bytes` }
  try {
    return { ok: true, value: freeze(run(new PickleMachine(new ByteReader(bytes), maxMemo), isProtocol2and3), { maxDepth, maxSize }) }
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, reason: error.message }
    throw error
  }
}

function run(machine: PickleMachine, withOldMemo: boolean): PickleNode {
  for (let opcode = machine.input.byte(); opcode !== STOP; opcode = machine.input.byte()) {
    const step = PICKLE_OPCODES.get(opcode) ?? (withOldMemo ? OLD_MEMO_OPCODES.get(opcode) : undefined)
    if (!step) throw new Unreadable(`the opcode 0x${opcode.toString(16).padStart(2, '0')} is not allowed`)
    step(machine)
  }
  const root = machine.pop()
  if (!machine.isEmpty) throw new Unreadable('it leaves values on its stack')
  return root
}
