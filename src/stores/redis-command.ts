import { Command } from 'ioredis'

/**
 * A command as one piece, text where all of its arguments are text; its replies are bytes. ioredis' own flattens the arguments and looks
 * through them first, which costs as much as all else of a batch.
 */
export class RedisCommand extends Command {
  constructor(name: string, args: (string | Buffer)[]) {
    super(name, [], { replyEncoding: null })
    this.args = args.slice()                // V8 may have put the caller's among old objects, where it would hold on to what is in it
  }

  /** An array of bulk strings (Redis serialization protocol specification). */
  override toWritable(): string | Buffer {
    const pieces: (string | Buffer)[] = [`*${this.args.length + 1}\r\n$${this.name.length}\r\n${this.name}\r\n`]
    let isText = true
    for (const arg of this.args as (string | Buffer)[]) {
      const isString = typeof arg === 'string'
      pieces.push(`$${isString ? Buffer.byteLength(arg) : arg.length}\r\n`, arg, '\r\n')
      isText &&= isString
    }
    return isText ? pieces.join('') : Buffer.concat(pieces.map((piece) => typeof piece === 'string' ? Buffer.from(piece) : piece))
  }
}
