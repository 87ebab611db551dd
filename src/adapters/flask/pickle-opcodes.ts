import { allowedGlobal, build, newObject, reduce } from './pickle-globals.ts'
import type { PickleMachine } from './pickle-machine.ts'
import { PickleDict, PickleSet, PickleTuple, Unreadable } from './pickle-nodes.ts'
import type { PickleNode } from './pickle-nodes.ts'
import { decodeRawUnicodeEscape, decodeSurrogatePass } from './pickle-text.ts'
import { floatText } from './python-number.ts'
import { isList, NumberText } from './python-value.ts'

export type PickleStep = (machine: PickleMachine) => void

/** Ends the pickle; what is left on the stack is its value. */
export const STOP = 0x2e

/** Everything that plain session data needs (docs: CPython Lib/pickletools.py). An opcode that is not here is refused. */
export const PICKLE_OPCODES: ReadonlyMap<number, PickleStep> = new Map<number, PickleStep>([
  [0x80, ({ input }) => { if (input.byte() > 5) throw new Unreadable('its protocol is newer than 5') }],     // PROTO
  [0x95, ({ input }) => { if (input.take(8).readBigUInt64LE() > input.remaining) throw new Unreadable('it ends too early') }],   // FRAME
  [0x28, (m) => m.mark()],                                                          // MARK
  [0x94, (m) => m.memoize()],                                                       // MEMOIZE
  [0x70, (m) => m.memoize(indexOf(m.input.line()))],                                // PUT
  [0x67, (m) => m.recall(indexOf(m.input.line()))],                                 // GET
  [0x68, (m) => m.recall(m.input.byte())],                                          // BINGET
  [0x6a, (m) => m.recall(m.input.take(4).readUInt32LE())],                          // LONG_BINGET
  [0x7d, (m) => m.push(new PickleDict())],                                          // EMPTY_DICT
  [0x64, (m) => m.push(setItems(new PickleDict(), m.popToMark()))],                 // DICT
  [0x73, (m) => { const items = [m.pop(), m.pop()].reverse(); setItems(m.top(), items) }],      // SETITEM
  [0x75, (m) => { const items = m.popToMark(); setItems(m.top(), items) }],         // SETITEMS
  [0x5d, (m) => m.push([])],                                                        // EMPTY_LIST
  [0x6c, (m) => m.push(m.popToMark())],                                             // LIST
  [0x61, (m) => { const item = m.pop(); append(m.top(), [item]) }],                 // APPEND
  [0x65, (m) => { const items = m.popToMark(); append(m.top(), items) }],           // APPENDS
  [0x29, (m) => m.push(new PickleTuple([]))],                                       // EMPTY_TUPLE
  [0x74, (m) => m.push(new PickleTuple(m.popToMark()))],                            // TUPLE
  [0x85, (m) => m.push(new PickleTuple([m.pop()]))],                                // TUPLE1
  [0x86, (m) => m.push(new PickleTuple([m.pop(), m.pop()].reverse()))],             // TUPLE2
  [0x87, (m) => m.push(new PickleTuple([m.pop(), m.pop(), m.pop()].reverse()))],    // TUPLE3
  [0x8f, (m) => m.push(new PickleSet())],                                           // EMPTY_SET
  [0x90, (m) => { const items = m.popToMark(); addItems(m.top(), items) }],         // ADDITEMS
  [0x4e, (m) => m.push(null)],                                                      // NONE
  [0x88, (m) => m.push(true)],                                                      // NEWTRUE
  [0x89, (m) => m.push(false)],                                                     // NEWFALSE
  [0x49, (m) => m.push(integerOfLine(m.input.line()))],                             // INT
  [0x4a, (m) => m.push(new NumberText(String(m.input.take(4).readInt32LE())))],     // BININT
  [0x4b, (m) => m.push(new NumberText(String(m.input.byte())))],                    // BININT1
  [0x4d, (m) => m.push(new NumberText(String(m.input.take(2).readUInt16LE())))],    // BININT2
  [0x8a, (m) => m.push(new NumberText(longOf(m.input.take(m.input.byte()))))],      // LONG1
  [0x47, (m) => m.push(new NumberText(floatText(m.input.take(8).readDoubleBE())))], // BINFLOAT
  [0x46, (m) => m.push(new NumberText(floatOfLine(m.input.line())))],               // FLOAT
  [0x56, (m) => m.push(decodeRawUnicodeEscape(m.input.line()))],                    // UNICODE
  [0x8c, (m) => m.push(decodeSurrogatePass(m.input.take(m.input.byte())))],         // SHORT_BINUNICODE
  [0x58, (m) => m.push(decodeSurrogatePass(m.input.take(m.input.take(4).readUInt32LE())))],     // BINUNICODE
  [0x43, (m) => m.push(Uint8Array.from(m.input.take(m.input.byte())))],             // SHORT_BINBYTES
  [0x42, (m) => m.push(Uint8Array.from(m.input.take(m.input.take(4).readUInt32LE())))],         // BINBYTES
  [0x63, (m) => m.push(allowedGlobal(m.input.line(), m.input.line()))],             // GLOBAL
  [0x93, (m) => { const name = m.pop(); m.push(allowedGlobal(textOf(m.pop()), textOf(name))) }],     // STACK_GLOBAL
  [0x52, (m) => { const args = m.pop(); m.push(reduce(m.pop(), args)) }],           // REDUCE
  [0x81, (m) => { const args = m.pop(); m.push(newObject(m.pop(), args)) }],        // NEWOBJ
  [0x62, (m) => { const state = m.pop(); build(m.top(), state) }],                  // BUILD
])

/** How Python before 3.8 (protocols 2 and 3) fills the memo. */
export const OLD_MEMO_OPCODES: ReadonlyMap<number, PickleStep> = new Map<number, PickleStep>([
  [0x71, (m) => m.memoize(m.input.byte())],                                         // BINPUT
  [0x72, (m) => m.memoize(m.input.take(4).readUInt32LE())],                         // LONG_BINPUT
])

function setItems(target: PickleNode, items: readonly PickleNode[]): PickleDict {
  if (!(target instanceof PickleDict) || items.length % 2 !== 0) throw new Unreadable('it sets items of something that is no dict')
  for (let at = 0; at < items.length; at += 2) target.set(items[at] as PickleNode, items[at + 1] as PickleNode)
  return target
}

function append(target: PickleNode, items: readonly PickleNode[]): void {
  if (!isList(target)) throw new Unreadable('it appends to something that is no list')
  for (const item of items) target.push(item)
}

function addItems(target: PickleNode, items: readonly PickleNode[]): void {
  if (!(target instanceof PickleSet)) throw new Unreadable('it adds to something that is no set')
  for (const item of items) target.items.push(item)
}

function textOf(node: PickleNode): string {
  if (typeof node !== 'string') throw new Unreadable('the name of a class is no text')
  return node
}

function indexOf(line: string): number {
  if (!/^\d{1,9}$/.test(line)) throw new Unreadable('a memo index is no number')
  return Number(line)
}

/** Protocol 0 writes True and False as `01` and `00`. */
function integerOfLine(line: string): PickleNode {
  if (line === '00' || line === '01') return line === '01'
  if (!/^-?(0|[1-9]\d{0,18})$/.test(line)) throw new Unreadable('an int is no number')
  return new NumberText(line === '-0' ? '0' : line)
}

function floatOfLine(line: string): string {
  const special = { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }[line]
  if (special) return special
  if (!/^-?\d{1,400}(\.\d{0,400})?(e[-+]?\d{1,4})?$/.test(line)) throw new Unreadable('a float is no number')
  return floatText(Number(line))
}

/** Two's complement, little-endian, up to 255 bytes; none is zero. */
function longOf(bytes: Buffer): string {
  if (bytes.length === 0) return '0'
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  return BigInt.asIntN(bytes.length * 8, unsigned).toString()
}
