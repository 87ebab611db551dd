import { createHash } from 'node:crypto'
import { ConfigInvalidError, type ConfigProblem } from '../../src/errors.ts'
import { loadConfig, type ConfigSource, type LoadedConfig } from '../../src/config/load.ts'
import { withValue } from '../../src/config/tree.ts'

/** A strong secret, the same for the same name. */
export function secretNamed(name: string): string {
  return createHash('sha256').update(name).digest('base64url')
}

/** The least a configuration can be, as a tree. */
export const minimal = {
  keys: {
    cookie: [{ id: 'c1', secret: secretNamed('cookie') }],
    assertion: [{ id: 'a1', alg: 'HS256', secret: secretNamed('assertion') }],
  },
  upstreams: { app: { targets: ['http://127.0.0.1:5000'] } },
  routes: [{ upstream: 'app' }],
}

/** `minimal` with values at dotted paths; undefined takes one away. */
export function minimalWith(changes: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(changes).reduce<unknown>((tree, [path, value]) => {
    return withValue(tree, path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step)), value)
  }, minimal)
}

export async function load(tree: unknown, source: ConfigSource = {}): Promise<LoadedConfig> {
  return loadConfig({ tree, env: {}, ...source })
}

/** The problems of a configuration that has to be refused. */
export async function problemsOf(source: ConfigSource): Promise<readonly ConfigProblem[]> {
  try {
    await loadConfig({ env: {}, ...source })
  } catch (error) {
    if (error instanceof ConfigInvalidError) return error.problems
    throw error
  }
  throw new Error('the configuration was accepted')
}
