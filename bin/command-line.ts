import { asServe, takeConfigFlags } from './arguments.ts'
import { exitCodeOf, printError } from './errors.ts'

/**
 * Runs one command line and resolves to the exit code. `serve` is what runs a thousand times a day and must start at once, so a command
 * line that is plainly a `serve` goes there without loading the parser for the rest.
 */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    const taken = takeConfigFlags(argv)
    const serving = asServe(taken)
    if (serving) return await (await import('./commands/serve.ts')).runServe(serving)
    return await (await import('./commands.ts')).runCommand(taken)
  } catch (error) {
    printError(error)
    return exitCodeOf(error)
  }
}
