import type { LoadedConfig } from '../../src/config/load.ts'
import type { ConfigArguments } from '../arguments.ts'
import { openConfig } from '../open-config.ts'
import { packageVersion } from '../version.ts'

/** Runs the gateway. Resolves to the exit code when serving has begun; the process lives on with its listeners. */
export async function runServe(args: ConfigArguments): Promise<number> {
  const main = import('../../src/main.ts')
  main.catch(() => undefined)    // reported where it is awaited; an invalid configuration comes first
  const opened = await openConfig(args)
  let first: LoadedConfig | undefined = opened.loaded
  const load = (): Promise<LoadedConfig> => {
    const ready = first
    first = undefined
    return ready === undefined ? opened.reload() : Promise.resolve(ready)
  }
  const { serve } = await main
  await serve({ load, version: packageVersion() })
  return 0
}
