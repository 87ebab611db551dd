import type { ByteReader } from './byte-reader.ts'
import { Unreadable } from './pickle-nodes.ts'
import type { PickleNode } from './pickle-nodes.ts'

/** Stack, marks and memo of a pickle being read. Every misuse is Unreadable. */
export class PickleMachine {
  private readonly stack: PickleNode[] = []
  private readonly marks: number[] = []
  private readonly memo = new Map<number, PickleNode>()

  constructor(readonly input: ByteReader, private readonly maxMemo: number) {}

  get isEmpty(): boolean {
    return this.stack.length === 0 && this.marks.length === 0
  }

  push(node: PickleNode): void {
    this.stack.push(node)
  }

  pop(): PickleNode {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw new Unreadable('it takes from an empty stack')
    return this.stack.pop() as PickleNode
  }

  top(): PickleNode {
    const node = this.pop()
    this.stack.push(node)
    return node
  }

  mark(): void {
    this.marks.push(this.stack.length)
  }

  popToMark(): PickleNode[] {
    const mark = this.marks.pop()
    if (mark === undefined) throw new Unreadable('it has no mark')
    return this.stack.splice(mark)
  }

  memoize(index = this.memo.size): void {
    if (this.memo.size >= (this.maxMemo)) throw new Unreadable('its memo is too large')
    this.memo.set(index, this.top())
  }

  recall(index: number): void {
    const node = this.memo.get(index)
    if (node === undefined) throw new Unreadable('it recalls what it has not stored')
    this.push(node)
  }
}
