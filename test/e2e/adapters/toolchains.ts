import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../../support/ports.ts'
import { startProcess } from '../../support/processes.ts'
import { waitFor } from '../../support/wait-for.ts'
import { vectorsFile } from './vectors.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const here = join(root, 'test/e2e/adapters')
const examples = join(root, 'examples')
const TOMCAT = '/usr/share/java/tomcat10-embed-core.jar:/usr/share/java/jakarta-annotation-api.jar'
/** Debian's Python, which is the one with Debian's Flask and Django. */
export const PYTHON = process.env.PYTHON ?? '/usr/bin/python3'
/** A Python with the current Flask. */
export const PYTHON_CURRENT = process.env.PYTHON_CURRENT ?? 'python3'

type Command = readonly [string, ...string[]]

/** One language: how to see whether it is here, how to run the shared vectors, and how to start the common small app. */
export interface Toolchain {
  readonly name: string
  /** Exits with 0 when everything needed is installed. */
  readonly probe: Command
  readonly install: string
  readonly env?: Readonly<Record<string, string>>
  /** Compiles into the given directory. */
  readonly build?: (directory: string) => Promise<unknown>
  readonly vectors: (directory: string) => Command
  readonly app: (directory: string) => Command
  /** What the small app of this framework has no words for. */
  readonly lacks?: readonly string[]
}

export const toolchains: readonly Toolchain[] = [
  {
    name: 'flask', probe: [PYTHON, '-c', 'import flask'], install: 'apt-get install -y python3-flask',
    env: { PYTHONPATH: join(examples, 'flask') },
    vectors: () => [PYTHON, join(here, 'python_vectors.py'), vectorsFile, 'sessiongate_flask'], app: () => [PYTHON, join(here, 'flask_app.py')],
  },
  {
    name: 'flask 3', probe: [PYTHON_CURRENT, '-c', 'import sys; from importlib.metadata import version; sys.exit(int(version("flask")[0]) < 3)'],
    install: 'python3 -m pip install flask==3.1.3', env: { PYTHONPATH: join(examples, 'flask') },
    vectors: () => [PYTHON_CURRENT, join(here, 'python_vectors.py'), vectorsFile, 'sessiongate_flask'], app: () => [PYTHON_CURRENT, join(here, 'flask_app.py')],
  },
  {
    name: 'django', probe: [PYTHON, '-c', 'import django'], install: 'apt-get install -y python3-django',
    env: { PYTHONPATH: join(examples, 'adapters/django') },
    vectors: () => [PYTHON, join(here, 'python_vectors.py'), vectorsFile, 'sessiongate_django'], app: () => [PYTHON, join(here, 'django_app.py')],
  },
  {
    name: 'express', probe: [process.execPath, '--version'], install: 'npm ci',
    vectors: () => [process.execPath, join(here, 'express_vectors.js'), vectorsFile], app: () => [process.execPath, join(here, 'express_app.js')],
  },
  {
    name: 'php', probe: ['php', '-r', 'exit(extension_loaded("session") ? 0 : 1);'], install: 'apt-get install -y php-cli',
    vectors: () => ['php', join(here, 'php_vectors.php'), vectorsFile, join(examples, 'adapters/php/sessiongate.php')],
    app: () => ['php', '-d', `auto_prepend_file=${join(examples, 'adapters/php/sessiongate.php')}`, '-S', '127.0.0.1:$PORT', '-t', join(here, 'php')],
  },
  {
    name: 'ruby', probe: ['ruby', '-e', 'require "rack"; require "webrick"'], install: 'apt-get install -y ruby ruby-rack ruby-webrick',
    env: { ADAPTER: join(examples, 'adapters/ruby/sessiongate.rb') },
    vectors: () => ['ruby', join(here, 'ruby_vectors.rb'), vectorsFile, join(examples, 'adapters/ruby/sessiongate.rb')], app: () => ['ruby', join(here, 'ruby_app.rb')],
  },
  {
    name: 'go', probe: ['go', 'version'], install: 'install Go 1.22 or newer (https://go.dev/dl)',
    build: (directory) => run('go', ['build', '-o', join(directory, 'app'), '.'], { cwd: join(here, 'go'), env: { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false', GOTOOLCHAIN: 'local' } }),
    vectors: (directory) => [join(directory, 'app'), 'vectors', vectorsFile], app: (directory) => [join(directory, 'app'), 'app'],
  },
  {
    name: 'java', probe: ['bash', '-c', `javac -version && test -f ${TOMCAT.replace(':', ' && test -f ')}`], install: 'apt-get install -y default-jdk-headless libtomcat10-embed-java libjakarta-annotation-api-java',
    build: (directory) => run('javac', ['-nowarn', '-d', directory, '-cp', TOMCAT, join(examples, 'adapters/java/SessiongateFilter.java'), join(here, 'java/App.java'), join(here, 'java/Driver.java')]),
    vectors: (directory) => ['java', '-cp', `${directory}:${TOMCAT}`, 'Driver', vectorsFile], app: (directory) => ['java', '-cp', `${directory}:${TOMCAT}`, 'App', directory],
    lacks: ['remember', 'null'],
  },
]

/** Undefined when the toolchain is here; else a sentence that says what to install. Under CI a missing one is an error. */
export async function missing(toolchain: Pick<Toolchain, 'name' | 'probe' | 'install'>): Promise<string | undefined> {
  const [command, ...rest] = toolchain.probe
  try {
    await run(command, rest)
    return undefined
  } catch {
    const sentence = `${toolchain.name} is not tested here; to test it: ${toolchain.install}`
    if (process.env.CI) throw new Error(sentence)
    return sentence
  }
}

/** A directory of its own, with the compiled adapter in it where there is something to compile. */
export async function prepare(toolchain: Toolchain): Promise<{ directory: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), `sessiongate-${toolchain.name.replace(' ', '-')}-`))
  await toolchain.build?.(directory)
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
}

export async function output(command: Command, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const [file, ...rest] = command
  const { stdout } = await run(file, rest, { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env }, maxBuffer: 1 << 24 })
  return stdout
}

export interface RunningApp extends AsyncDisposable {
  readonly port: number
  /** What it has printed so far, for when a test fails. */
  readonly log: () => string
}

/** Starts a server program on a free port (`$PORT` in its arguments, PORT in its environment) and waits until it answers `path`. */
export async function startProgram(command: Command, env: Readonly<Record<string, string>> = {}, path = '/session'): Promise<RunningApp> {
  const port = await freePort()
  const [file, ...rest] = command
  const child = startProcess(file, rest.map((word) => word.replace('$PORT', String(port))), { env: { PYTHONDONTWRITEBYTECODE: '1', ...env, PORT: String(port) } })
  const log = (): string => `${child.stdout}\n${child.stderr}`
  try {
    await waitFor(() => child.exit !== undefined || answers(port, path), () => `answer from ${child.command}; it said:\n${log()}`, 15_000)
    if (child.exit) throw new Error(`${child.command} did not start:\n${log()}`)
  } catch (error) {
    await child.kill()
    throw error
  }
  return { port, log, [Symbol.asyncDispose]: async () => { await child.kill() } }
}

function answers(port: number, path: string): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual' }).then(async (answer) => {
    await answer.arrayBuffer()
    return true
  }, () => false)
}
