import { problemText } from '../../src/errors.ts'
import type { ConfigArguments } from '../arguments.ts'
import { openConfig } from '../open-config.ts'

/** Prints what would run, or with `print` the effective configuration. Rejects with ConfigInvalidError. */
export async function runCheck(args: ConfigArguments, { print }: { readonly print: boolean }): Promise<number> {
  const { loaded: { config, warnings }, origin } = await openConfig(args)
  if (print) {
    const [{ effectiveConfig }, { stringify }] = await Promise.all([import('../../src/config/effective.ts'), import('yaml')])
    process.stdout.write(stringify(effectiveConfig(config), { lineWidth: 0 }))
    for (const warning of warnings) process.stderr.write(`warning: ${problemText(warning)}\n`)
    return 0
  }
  const { summaryOf } = await import('../summary.ts')
  process.stdout.write(summaryOf(config, warnings, origin))
  return 0
}
