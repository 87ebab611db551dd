import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { missing, PYTHON, startProgram, type RunningApp } from '../e2e/adapters/toolchains.ts'
import { waitFor } from './wait-for.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))
/** Real Flask apps that know nothing of a gateway, as they came. */
const apps = join(root, 'test/legacy-apps')
const cache = join(root, 'node_modules/.cache')
const CURRENT = { flask: '3.1.3', 'flask-session': '0.8.0', redis: '6.4.0' }

/** A Python with some Flask in it. */
export interface FlaskFlavour {
  readonly name: string
  /** The interpreter, or a sentence that says why there is none. */
  prepare(): Promise<{ readonly python: string } | { readonly missing: string }>
}

export const debianFlask: FlaskFlavour = {
  name: 'Flask 2.2 and Flask-Session 0.3 of Debian',
  async prepare() {
    const reason = await missing({ name: 'Flask', probe: [PYTHON, '-c', 'import flask, flask_session, redis'], install: 'apt-get install -y python3-flask python3-flask-session python3-redis' })
    return reason === undefined ? { python: PYTHON } : { missing: reason }
  },
}

/** In an environment of its own below node_modules, made once. */
export const currentFlask: FlaskFlavour = {
  name: `Flask ${CURRENT.flask} and Flask-Session ${CURRENT['flask-session']}`,
  async prepare() {
    const python = join(cache, 'flask-current/bin/python')
    await madeOnce('flask-current', async (directory) => {
      await run(process.env['PYTHON_CURRENT'] ?? 'python3', ['-m', 'venv', directory])
      await run(join(directory, 'bin/pip'), ['install', '-q', '--disable-pip-version-check', ...Object.entries(CURRENT).map(([name, version]) => `${name}==${version}`)])
    }).catch(() => undefined)                            // the probe below says it
    const reason = await missing({ name: currentFlask.name, probe: [python, '-c', 'import flask, flask_session, redis'], install: 'a network for pip, and python3 -m venv (apt-get install -y python3-venv)' })
    return reason === undefined ? { python } : { missing: reason }
  },
}

/** Runs `make` on `<cache>/<name>` unless some test file has done so before; test files in other processes wait for it. */
async function madeOnce(name: string, make: (directory: string) => Promise<void>): Promise<void> {
  const directory = join(cache, name)
  const [done, lock] = [join(directory, '.done'), `${directory}.lock`]
  await mkdir(cache, { recursive: true })
  const isDone = (): Promise<boolean> => run('test', ['-d', done]).then(() => true, () => false)
  await waitFor(async () => await isDone() || await mkdir(lock).then(() => true, () => false), `${name} made by another process`, 150_000)
  if (await isDone()) return
  try {
    await make(directory)
    await mkdir(done)
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

/** `app_cookie.py`, `app_redis.py` or `app_students.py`, on a free port. */
export async function startLegacyApp(python: string, file: string, env: Readonly<Record<string, string>> = {}): Promise<RunningApp> {
  return startProgram([python, join(apps, file)], env, file === 'app_students.py' ? '/health' : '/ping')
}
