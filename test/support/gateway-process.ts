import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePort } from './ports.ts'
import { startCli, type ChildHandle } from './processes.ts'
import { waitFor } from './wait-for.ts'
import { ASSERTION_SECRET, COOKIE_SECRET } from './world.ts'

type Tree = Record<string, unknown>

/** The real command as a process of its own, on free ports, with a directory for its configuration and store. */
export interface GatewayProcess extends AsyncDisposable {
  readonly child: ChildHandle
  readonly directory: string
  readonly configFile: string
  readonly port: number
  readonly url: string
  readonly adminUrl: string
  /** Writes another configuration without telling the process. */
  write(changes: Tree): void
  writeText(text: string): void
  /** A second process with the same directory and ports, for instance after the first was killed. */
  restart(): Promise<GatewayProcess>
}

export interface GatewayProcessOptions {
  readonly upstream: string
  /** Merged over the defaults: one route `/` on the file store. */
  readonly config?: Tree
  readonly keep?: { readonly directory: string; readonly port: number; readonly adminPort: number }
}

export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const directory = options.keep?.directory ?? mkdtempSync(join(tmpdir(), 'gateway-'))
  const port = options.keep?.port ?? (await freePort())
  const adminPort = options.keep?.adminPort ?? (await freePort())
  const configFile = join(directory, 'sessiongate.yaml')
  const tree = (changes: Tree): Tree => ({
    listen: `127.0.0.1:${port}`,
    admin: `127.0.0.1:${adminPort}`,
    keys: { cookie: [{ id: 'c1', secret: COOKIE_SECRET }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }] },
    store: { kind: 'file', path: join(directory, 'sessions') },
    upstreams: { app: { targets: [options.upstream] } },
    routes: [{ path: '/', upstream: 'app' }],
    log: { format: 'json' },
    ...options.config,
    ...changes,
  })
  const writeText = (text: string): void => { writeFileSync(configFile, text) }
  const write = (changes: Tree): void => { writeText(stringify(tree(changes))) }
  write({})
  const child = startCli(['serve', '-c', configFile])
  try {
    await waitFor(() => {
      if (child.exit) throw new Error(`the gateway ended:\n${[...child.stdoutLines, ...child.stderrLines].join('\n')}`)
      return child.stdoutLines.some((line) => line.includes('"msg":"listening"'))
    }, 'the gateway to listen', 15_000)
  } catch (error) {
    await child[Symbol.asyncDispose]()
    throw error
  }

  return {
    child, directory, configFile, port, url: `http://127.0.0.1:${port}`, adminUrl: `http://127.0.0.1:${adminPort}`, write, writeText,
    restart: () => startGatewayProcess({ ...options, keep: { directory, port, adminPort } }),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
