import { ConfigInvalidError, GatewayError, problemText, type ConfigProblem } from '../src/errors.ts'

/** The command line cannot be understood (sysexits.h EX_USAGE). */
export class UsageError extends Error {}

/** What was asked for cannot be done; the message says why, and no stack helps. */
export class CommandError extends Error {}

export const EXIT_FAILURE = 1
export const EXIT_USAGE = 64
export const EXIT_CONFIG = 78

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE
  return error instanceof ConfigInvalidError ? EXIT_CONFIG : EXIT_FAILURE
}

/** Plain words to standard error. Only what we did not foresee comes with a stack. */
export function printError(error: unknown): void {
  process.stderr.write(`${textOf(error)}\n`)
}

export function printWarnings(warnings: readonly ConfigProblem[]): void {
  for (const warning of warnings) process.stderr.write(`sessiongate: warning: ${problemText(warning)}\n`)
}

function textOf(error: unknown): string {
  if (error instanceof ConfigInvalidError) return configText(error)
  if (error instanceof UsageError) return `sessiongate: ${error.message}\nTry: sessiongate --help`
  if (error instanceof CommandError || error instanceof GatewayError || isSystemError(error)) return `sessiongate: ${error.message}`
  return `sessiongate: unexpected error\n${error instanceof Error ? error.stack ?? error.message : String(error)}`
}

function configText({ problems, file }: ConfigInvalidError): string {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  return [`sessiongate: the configuration${file ? ` in ${file}` : ''} has ${count}`, ...problems.map((problem) => `  ${problemText(problem)}`)].join('\n')
}

/** An address in use, a file that cannot be opened: the operating system's sentence says it all. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === 'number'
}
