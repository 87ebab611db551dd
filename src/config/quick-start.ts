import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { ConfigInvalidError, type ConfigProblem } from '../errors.ts'
import type { ConfigSource } from './load.ts'
import { reasonOf } from './secret-files.ts'
import { keptSecret, stateDirectory } from './state-directory.ts'
import { target } from './upstream-schema.ts'

const COOKIE_KEY = 'cookie.key'
const ASSERTION_KEY = 'assertion.key'

export interface QuickStart {
  /** For loadConfig; flags may be added. */
  readonly source: ConfigSource
  readonly warnings: readonly ConfigProblem[]
}

/**
 * `sessiongate --upstream URL` without a file: one route to one upstream, sessions in the user's state directory, keys made on the first
 * start and kept beside them. Rejects with ConfigInvalidError when a URL is none or the directory cannot be written.
 */
export async function quickStart(upstream: string | readonly string[], env: NodeJS.ProcessEnv): Promise<QuickStart> {
  const targets = [upstream].flat().map(withScheme)
  for (const text of targets) {
    const parsed = target.safeParse(text)
    if (!parsed.success) throw new ConfigInvalidError([{ path: '--upstream', message: parsed.error.issues[0]?.message ?? 'expected a URL' }])
  }
  const directory = stateDirectory(env)
  const cookieKey = await keyIn(directory, COOKIE_KEY)
  const assertionKey = await keyIn(directory, ASSERTION_KEY)
  const tree = {
    keys: { cookie: [cookieKey], assertion: [{ ...assertionKey, alg: 'HS256' }] },
    store: { kind: 'file', path: join(directory, 'sessions') },
    upstreams: { app: { targets } },
    routes: [{ path: '/', upstream: 'app' }],
  }
  const message = `generated keys are used, kept in ${directory}; the app verifies the session header with ${join(directory, ASSERTION_KEY)} ` +
    '(HS256, audience "app"). For production make a configuration with keys of its own: sessiongate init'
  return { source: { tree, env }, warnings: [{ path: 'keys', message }] }
}

/** `127.0.0.1:5000` is meant as http. */
function withScheme(text: string): string {
  return /^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d+\/?$/.test(text) ? `http://${text}` : text
}

/** A new secret gets a new id, since what the old one signed still travels. */
async function keyIn(directory: string, name: string): Promise<{ id: string; secretFile: string }> {
  try {
    const secret = await keptSecret(directory, name)
    return { id: `g-${createHash('sha256').update(secret).digest('hex').slice(0, 8)}`, secretFile: join(directory, name) }
  } catch (error) {
    const message = `generated keys cannot be kept in ${directory}: ${reasonOf(error)}. Set XDG_STATE_HOME to a directory that can be written, or make a configuration with "sessiongate init"`
    throw new ConfigInvalidError([{ path: '--upstream', message }])
  }
}
