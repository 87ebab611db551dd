import { pino, type Logger } from 'pino'

export type Log = Logger

export interface LogOptions {
  readonly level: string
  readonly format: 'auto' | 'json' | 'pretty'
}

/** Members that must never be written, wherever someone might put them. */
const SECRET = ['cookie', 'setCookie', 'authorization', 'assertion', 'secret', 'password', 'privateKey']

/**
 * JSON lines on standard output, or coloured text on a terminal. Lines are buffered for a moment, since a write per request would
 * cost more than the session: `flush` before the process ends.
 */
export async function createLog({ level, format }: LogOptions): Promise<Log> {
  const options = { level, base: null, redact: { paths: SECRET.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' }, timestamp: pino.stdTimeFunctions.isoTime }
  if (format === 'pretty' || (format === 'auto' && process.stdout.isTTY)) {
    const { default: pretty } = await import('pino-pretty')
    return pino(options, pretty({ sync: true, ignore: 'pid,hostname' }))
  }
  return pino(options, pino.destination({ fd: 1, sync: false, minLength: 4_096, periodicFlush: 250 }))
}
