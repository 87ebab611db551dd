import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/sessiongate.ts', import.meta.url))
const BATCH = fileURLToPath(new URL('./cli-batch.ts', import.meta.url))
const TSX = import.meta.resolve('tsx')

export interface CliOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function spawnSource(file: string, args: readonly string[], { cwd, env = {} }: CliOptions) {
  const { PATH = '' } = process.env
  return spawn(process.execPath, ['--import', TSX, file, ...args], { cwd, env: { PATH, HOME: cwd, NO_COLOR: '1', ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Starts a command line, from the sources, as a process of its own. HOME is `cwd`, so that nothing of this machine is found. */
export function spawnCli(args: readonly string[], options: CliOptions) {
  return spawnSource(BIN, args, options)
}

/** Runs one command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return finish(spawnCli(args, options), options.input)
}

/** Runs several command lines one after the other in one process, which is much quicker than one each. Variables may stand before one. */
export async function runCliBatch(commandLines: readonly (readonly string[])[], options: CliOptions): Promise<CliResult[]> {
  const { stdout, stderr, code } = await finish(spawnSource(BATCH, [JSON.stringify(commandLines)], options), options.input)
  if (code !== 0) throw new Error(`the batch failed: ${stderr}`)
  return JSON.parse(stdout) as CliResult[]
}

async function finish(child: ReturnType<typeof spawnSource>, input = ''): Promise<CliResult> {
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>])
  return { code, stdout, stderr }
}
