import type { Log } from '../log.ts'

const EXIT_FORCED = 1
const EXIT_BUG = 70

/** SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads. What nobody caught ends the process, with its stack in the log. */
export function onSignals({ reload, stop }: { readonly reload: () => void; readonly stop: () => Promise<void> }): void {
  let isStopping = false
  const onStop = (): void => {
    if (isStopping) process.exit(EXIT_FORCED)
    isStopping = true
    void stop()
  }
  process.on('SIGTERM', onStop)
  process.on('SIGINT', onStop)
  process.on('SIGHUP', reload)
}

/** Runs the shutdown, flushes the log, exits 0; or 1 when the shutdown fails. */
export async function exitAfter(log: Log, shutdown: () => Promise<void>): Promise<void> {
  let code = 0
  try {
    log.info('stopping')
    await shutdown()
    log.info('stopped')
  } catch (error) {
    code = EXIT_FORCED
    log.error({ err: error }, 'the shutdown failed')
  }
  log.flush(() => process.exit(code))
}

/** The last resort: a bug is logged and the process ends, to be started afresh. */
export function dieOnBugs(log: Log): void {
  const die = (error: unknown): void => {
    log.fatal({ err: error }, 'a bug: the process ends')
    log.flush(() => process.exit(EXIT_BUG))
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}
