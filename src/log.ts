import { pino, type Logger } from 'pino'
import { systemClock } from './clock.ts'

export type Log = Logger

export interface LogOptions {
  readonly level: string
  readonly format: 'auto' | 'json' | 'pretty'
  /** Where to; default: standard output. */
  readonly fd?: 1 | 2
}

/** A write per line would cost more than the session. */
const BUFFER_BYTES = 16_000
const FLUSH_MS = 100

/**
 * JSON lines, or coloured text on a terminal. Lines are buffered for a moment: `flush` before the process ends.
 * Nothing is redacted here, where it would cost every line: callers name the facts they log, and no secret is among them (tested).
 */
export async function createLog({ level, format, fd = 1 }: LogOptions): Promise<Log> {
  const options = { level, base: null, timestamp: createTimestamp() }
  if (format === 'pretty' || (format === 'auto' && (fd === 1 ? process.stdout : process.stderr).isTTY)) {
    const { default: pretty } = await import('pino-pretty')
    return pino(options, pretty({ sync: true, destination: fd, ignore: 'pid,hostname' }))
  }
  return pino(options, pino.destination({ fd, sync: false, minLength: BUFFER_BYTES, periodicFlush: FLUSH_MS }))
}

/** The `time` member in ISO 8601, formatted once per millisecond. */
function createTimestamp(): () => string {
  let formattedAt = 0
  let text = ''
  return () => {
    const now = systemClock()
    if (now !== formattedAt) {
      formattedAt = now
      text = `,"time":"${new Date(now).toISOString()}"`
    }
    return text
  }
}
