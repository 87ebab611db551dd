import { Deadlines } from './deadlines.ts'
import type { Deadline } from './deadlines.ts'
import type { SqlDatabase, SqlResult, SqlValue } from './sql-dialect.ts'
import { SqlRefusal } from './sql-dialect.ts'

/** One connection, which carries one statement at a time. */
export interface SqlConnection {
  /** Rejects with a SqlRefusal when the server answered an error; after anything else the connection is not used again. */
  run(text: string, values: readonly SqlValue[]): Promise<SqlResult>
  destroy(): void
}

export interface SqlPoolOptions {
  /** Opens a connection. `onLost` is to be called when it ends, whoever ended it; more than once does no harm. */
  readonly connect: (onLost: (error?: Error) => void) => Promise<SqlConnection>
  /** Connections at most. */
  readonly size: number
  /** What a statement waits, for a connection and then for its answer. */
  readonly timeoutMs: number
}

interface Call {
  readonly text: string
  readonly values: readonly SqlValue[]
  readonly resolve: (result: SqlResult) => void
  readonly reject: (error: Error) => void
  readonly deadline: Deadline
  /** The one that carries it now. */
  connection: SqlConnection | undefined
  /** The connection was lost under it at least once. */
  isRepeated: boolean
}

const FIRST_RETRY_MS = 25
const LAST_RETRY_MS = 500

/**
 * A bounded pool. A statement whose connection is lost is sent again on another one until its deadline, so that a blip passes unseen:
 * it must be one that can be carried out twice. What is not answered in time takes its connection with it, which may be half open.
 */
export function createSqlPool({ connect, size, timeoutMs }: SqlPoolOptions): SqlDatabase {
  const deadlines = new Deadlines(Math.floor(timeoutMs * 0.9))    // ends before the caller's deadline, to tell the cause
  const connections = new Map<SqlConnection, Call | undefined>()
  const idle: SqlConnection[] = []
  const waiting = new Set<Call>()
  let connecting = 0
  let retryMs = 0
  let retry: NodeJS.Timeout | undefined
  let lastError: Error | undefined
  let isClosed = false

  function dispatch(call: Call): void {
    call.connection = idle.pop()
    if (call.connection) return execute(call.connection, call)
    waiting.add(call)
    grow()
  }

  function execute(connection: SqlConnection, call: Call): void {
    call.connection = connection
    connections.set(connection, call)
    connection.run(call.text, call.values).then((result) => {
      if (connections.get(connection) !== call) return              // given up, or sent again elsewhere
      call.deadline.cancel()
      call.resolve(call.isRepeated ? { ...result, isRepeated: true } : result)
      retryMs = 0
      lastError = undefined
      release(connection)
    }, (error: Error) => {
      if (connections.get(connection) !== call) return
      if (!(error instanceof SqlRefusal)) return lose(connection, error)
      call.deadline.cancel()
      call.reject(error)
      release(connection)
      if (error.meaning === 'read only') lose(connection, error)    // the next one may reach the new primary
    })
  }

  function release(connection: SqlConnection): void {
    connections.set(connection, undefined)
    const [next] = waiting
    if (!next) return void idle.push(connection)
    waiting.delete(next)
    execute(connection, next)
  }

  /** Its statement, if it carries one, is sent again on another connection. */
  function lose(connection: SqlConnection, error: Error): void {
    const call = connections.get(connection)
    if (!connections.delete(connection)) return
    const index = idle.indexOf(connection)
    if (index >= 0) idle.splice(index, 1)
    connection.destroy()
    if (!call) return grow()
    pause(error)
    call.isRepeated = true
    dispatch(call)
  }

  function expire(call: Call): void {
    const { connection } = call
    if (waiting.delete(call)) {
      call.reject(new Error(`no connection${lastError ? `: ${lastError.message}` : ''}`, { cause: lastError }))
    } else if (connection) {
      const error = new Error(`no answer within ${timeoutMs} ms`)
      connections.set(connection, undefined)
      call.reject(error)
      lose(connection, error)
    }
  }

  /** Opens as many connections as there are calls without one. */
  function grow(): void {
    while (!isClosed && !retry && connecting < waiting.size && connections.size + connecting < size) open()
  }

  function open(): void {
    connecting++
    let opened: SqlConnection | undefined
    let isLost = false
    const onLost = (error?: Error) => {
      isLost = true
      if (opened) lose(opened, error ?? new Error('the server closed the connection'))
    }
    connect(onLost).then((connection) => {
      connecting--
      if (isClosed || isLost) return connection.destroy()
      opened = connection
      release(connection)
    }, (error: Error) => {
      connecting--
      pause(error)
    })
  }

  /** The first retry comes at once, the next ones later and later; many losses at the same time are one. */
  function pause(error: Error): void {
    lastError = error
    if (retry) return
    retry = setTimeout(() => {
      retry = undefined
      grow()
    }, retryMs).unref()
    retryMs = Math.min(Math.max(2 * retryMs, FIRST_RETRY_MS), LAST_RETRY_MS)
  }

  return {
    run(text, values) {
      return new Promise((resolve, reject) => {
        const call: Call = { text, values, resolve, reject, deadline: deadlines.start({ expire: () => expire(call) }), connection: undefined, isRepeated: false }
        dispatch(call)
      })
    },

    // eslint-disable-next-line @typescript-eslint/require-await
    async close() {
      isClosed = true
      clearTimeout(retry)
      for (const connection of connections.keys()) connection.destroy()
      connections.clear()
    },
  }
}
