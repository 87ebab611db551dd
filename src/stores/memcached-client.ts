import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { connectTimeoutOf } from './connect-timeout.ts'
import type { Deadline } from './deadlines.ts'
import { Deadlines } from './deadlines.ts'
import type { MemcachedReply } from './memcached-reply.ts'
import { createReplyReader } from './memcached-reply.ts'
import { StoreRefusal } from './refusal.ts'

/** One memcached. Rejects with a StoreRefusal when it answered an error, with anything else when it did not answer. */
export interface MemcachedClient {
  /** Sends a command, with its data block, that ends with one of `answers`; several travel together. It may be carried out twice. */
  send(answers: readonly string[], ...command: readonly (string | Uint8Array)[]): Promise<MemcachedReply>
  close(): void
}

export interface MemcachedClientOptions {
  /** host:port, [v6]:port */
  readonly server: string
  readonly timeoutMs: number
}

interface Call {
  readonly answers: readonly string[]
  readonly command: readonly (string | Uint8Array)[]
  readonly resolve: (reply: MemcachedReply) => void
  readonly reject: (error: Error) => void
  readonly deadline: Deadline
  isSettled: boolean
  /** Its connection was lost at least once. */
  isRepeated: boolean
}

const FIRST_RETRY_MS = 25
const LAST_RETRY_MS = 500

/**
 * One connection, on which commands follow each other without waiting. When it is lost, what was not answered is sent again on the
 * next one until its deadline, so that a blip passes unseen. What is not answered in time ends the connection, which may be half open.
 */
export function createMemcachedClient({ server, timeoutMs }: MemcachedClientOptions): MemcachedClient {
  const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(server) ?? []
  const deadlines = new Deadlines(Math.floor(timeoutMs * 0.9))    // ends before the caller's deadline, to tell the cause
  const waiting = new Set<Call>()
  let sent: Call[] = []
  let socket: Socket | undefined
  let isConnected = false
  let isCorked = false
  let isClosed = false
  let retryMs = 0
  let retry: NodeJS.Timeout | undefined
  let lastError: Error | undefined

  function open(): void {
    const own = connect({ host, port: Number(port), noDelay: true, keepAlive: true })
    socket = own
    const replies = createReplyReader((reply) => {
      retryMs = 0
      lastError = undefined
      const call = sent[0]
      const isRefusal = /^(CLIENT_|SERVER_)?ERROR/.test(reply.line)
      if (!call || !(isRefusal || call.answers.includes(reply.line))) throw new Error(`memcached said "${reply.line.slice(0, 100)}"`)
      sent.shift()
      settle(call, reply, isRefusal)
      // It did not understand the line, so it takes the data block for the next one.
      if (isRefusal && !reply.line.startsWith('SERVER_')) throw new Error(`memcached said "${reply.line.slice(0, 100)}"`)
    })
    own.setTimeout(connectTimeoutOf(timeoutMs), () => own.destroy(new Error('no connection in time')))
    own.on('connect', () => {
      own.setTimeout(0)
      isConnected = true
      const calls = [...waiting]
      waiting.clear()
      calls.forEach(write)
    })
    own.on('data', (chunk: Buffer) => {
      try {
        replies.push(chunk)
      } catch (error) {
        own.destroy(error as Error)
      }
    })
    own.on('error', (error) => { lastError = error })
    own.on('close', () => { if (socket === own) reopen() })
  }

  function reopen(): void {
    isConnected = isCorked = false
    socket = undefined
    for (const call of sent) {
      call.isRepeated = true
      if (!call.isSettled) waiting.add(call)
    }
    sent = []
    if (isClosed) return
    retry = setTimeout(open, retryMs).unref()
    retryMs = Math.min(Math.max(2 * retryMs, FIRST_RETRY_MS), LAST_RETRY_MS)
  }

  /** Commands of one turn of the event loop leave in one system call. */
  function write(call: Call): void {
    const own = socket!
    sent.push(call)
    if (!isCorked) {
      isCorked = true
      own.cork()
      setImmediate(() => {
        isCorked = false
        own.uncork()
      })
    }
    for (const part of call.command) own.write(part)
  }

  function settle(call: Call, reply: MemcachedReply, isRefusal: boolean): void {
    if (call.isSettled) return
    call.isSettled = true
    call.deadline.cancel()
    if (isRefusal) call.reject(new StoreRefusal(explain(reply.line)))
    else call.resolve(call.isRepeated ? { ...reply, isRepeated: true } : reply)
  }

  function expire(call: Call): void {
    call.isSettled = true
    if (waiting.delete(call)) {
      call.reject(new Error(`no connection to ${server}${lastError ? `: ${lastError.message}` : ''}`, { cause: lastError }))
    } else {
      call.reject(new Error(`no answer from ${server} within ${timeoutMs} ms`))
      socket?.destroy()
    }
  }

  open()
  return {
    send: (answers, ...command) => new Promise((resolve, reject) => {
      const call: Call = { answers, command, resolve, reject, deadline: deadlines.start({ expire: () => expire(call) }), isSettled: false, isRepeated: false }
      if (isConnected) write(call)
      else waiting.add(call)
    }),

    close() {
      isClosed = true
      clearTimeout(retry)
      socket?.destroy()
    },
  }
}

function explain(line: string): string {
  if (line.includes('too large')) return `${line} (raise its item size limit, -I, or lower session.maxBytes)`
  if (line.includes('out of memory')) return `${line} (give it more memory, -m)`
  return line
}
