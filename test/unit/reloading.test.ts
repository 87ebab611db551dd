import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, test } from 'vitest'
import { loadConfig, type LoadedConfig } from '../../src/config/load.ts'
import { startReloading } from '../../src/processes/reloading.ts'
import { ASSERTION_SECRET } from '../support/world.ts'
import { waitFor } from '../support/wait-for.ts'

let directory: string
let secretFile: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reloading-'))
  secretFile = join(directory, 'secret')
  await renew()
})
afterEach(() => rm(directory, { recursive: true }))

const renew = (): Promise<void> => writeFile(secretFile, randomBytes(32).toString('base64url'), { mode: 0o600 })
const load = (): Promise<LoadedConfig> => loadConfig({ env: {}, tree: {
  keys: { cookie: [{ id: 'c1', secretFile }], assertion: [{ id: 'a1', alg: 'HS256', secret: ASSERTION_SECRET }] },
  store: { kind: 'memory' }, upstreams: { app: { targets: ['http://127.0.0.1:1'] } }, routes: [{ path: '/', upstream: 'app' }],
} })
const secretOf = ({ config }: LoadedConfig): string | undefined => config.keys.cookie[0]?.secret
const silent = pino({ level: 'silent' })

test('a secret that is renewed while the process starts counts', async () => {
  const loaded = await load()
  await renew()
  let inForce = loaded
  const reloading = startReloading(loaded.files, { load, apply: (next) => { inForce = next }, log: silent })
  await waitFor(() => secretOf(inForce) === readFileSync(secretFile, 'utf8'), 'the new secret to be in force')
  reloading.stop()
})

test('a secret that is renewed while the one before is put in force counts', async () => {
  const loaded = await load()
  let applied = 0
  let inForce = loaded
  const reloading = startReloading(loaded.files, { load, log: silent, async apply(next) {
    if (++applied === 1) await renew()
    inForce = next
  } })
  await reloading.reload()
  await waitFor(() => secretOf(inForce) === readFileSync(secretFile, 'utf8'), 'the second secret to be in force')
  reloading.stop()
})
