/** Where a check reports to. `also` are further keys the finding rests on: when one of them is wrong already, it is dropped. */
export interface Judge {
  problem(path: string, message: string, ...also: string[]): void
  warn(path: string, message: string, ...also: string[]): void
  /** Whether the operator gave the key, in the file or as a flag. */
  isWritten(path: string): boolean
  /** Whether the value at `path` is the operator's own and right, as far as it was judged; what is under it may still be wrong. */
  isSound(path: string): boolean
}
