import { expect, test } from 'vitest'
import { startProcess } from '../support/processes.ts'

const support = new URL('../support/', import.meta.url)
const OPEN = `
  const { openStore } = await import(${JSON.stringify(new URL('../../src/stores/open-store.ts', import.meta.url).href)})
  const { store: schema } = await import(${JSON.stringify(new URL('../../src/config/store-schema.ts', import.meta.url).href)})
  try {
    await openStore(schema.parse(JSON.parse(process.argv[1])), { clock: Date.now })
  } catch (error) {
    process.stdout.write(JSON.stringify({ name: error.name, problems: error.problems }) + '\\n')
  }
  process.exit()`

test.each([
  ['pg', { kind: 'postgres', url: 'postgres://127.0.0.1/a' }],
  ['mysql2', { kind: 'mysql', url: 'mysql://127.0.0.1/a' }],
  ['@photostructure/sqlite', { kind: 'sqlite', path: '/tmp/never-made.sqlite' }],
  ['mongodb', { kind: 'mongodb' }],
])('without the package %s its store is a problem of the configuration that names the command', async (driver, config) => {
  const loaders = ['without-package.mjs', 'typescript-loader.mjs'].flatMap((name) => ['--import', new URL(name, support).href])
  await using child = startProcess(process.execPath, [...loaders, '--input-type=module', '--eval', OPEN, JSON.stringify(config)], { env: { WITHOUT_PACKAGE: driver } })
  expect(await child.waitForJson(() => true)).toEqual({
    name: 'ConfigInvalidError',
    problems: [{ path: 'store.kind', message: `this store needs the package "${driver}": run npm install ${driver}` }],
  })
})
