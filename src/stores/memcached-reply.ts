export interface MemcachedReply {
  /** The line that ends it, such as STORED or END. */
  readonly line: string
  readonly item?: { readonly value: Buffer; readonly cas: string }
  readonly stats?: ReadonlyMap<string, string>
  /** The command may have been carried out before: its connection was lost, and it was sent again. */
  readonly isRepeated?: boolean
}

const MAX_LINE_BYTES = 2_048
const CRLF = '\r\n'

/**
 * Reads replies of memcached's text protocol (doc/protocol.txt) from chunks however they were cut. `push` throws when the bytes
 * cannot be replies: then nothing that follows can be trusted.
 */
export function createReplyReader(onReply: (reply: MemcachedReply) => void): { push(chunk: Buffer): void } {
  let rest: Buffer = Buffer.alloc(0)
  let item: MemcachedReply['item']
  let stats: Map<string, string> | undefined

  /** Reads one line, with the data block after it. False: more bytes are needed. */
  function readLine(): boolean {
    const end = rest.indexOf(CRLF)
    if (end < 0) {
      if (rest.length > MAX_LINE_BYTES) throw new Error('memcached sent a line without an end')
      return false
    }
    const line = rest.toString('latin1', 0, end)
    const next = end + CRLF.length
    if (line.startsWith('VALUE ')) return readItem(line, next)
    rest = rest.subarray(next)
    if (line.startsWith('STAT ')) {
      const [, name = '', value = ''] = line.split(' ')
      stats = (stats ?? new Map<string, string>()).set(name, value)
      return true
    }
    const reply: MemcachedReply = { line, ...(item && { item }), ...(stats && { stats }) }
    item = stats = undefined
    onReply(reply)
    return true
  }

  /** `VALUE <key> <flags> <bytes> <cas unique>` and the bytes. */
  function readItem(line: string, start: number): boolean {
    const [, , , length = '', cas = ''] = line.split(' ')
    const bytes = Number(length)
    if (!/^\d+$/.test(length) || !/^\d+$/.test(cas)) throw new Error(`memcached sent "${line.slice(0, 100)}"`)
    const end = start + bytes
    if (rest.length < end + CRLF.length) return false
    if (rest.toString('latin1', end, end + CRLF.length) !== CRLF) throw new Error('memcached sent a value of another length than it said')
    item = { value: Buffer.from(rest.subarray(start, end)), cas }
    rest = rest.subarray(end + CRLF.length)
    return true
  }

  return {
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      while (rest.length > 0 && readLine());
    },
  }
}
