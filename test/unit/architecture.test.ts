import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

/** Low to high: a file imports from its own layer and from lower ones. */
const LAYERS: readonly (readonly [layer: number, pattern: RegExp])[] = [
  [0, /^src\/(errors|clock|log|metrics|metric-series|recent|transient-map|prometheus)\.ts$/],
  [0, /^src\/session\/session\.ts$/], // types alone: the clock names them
  [1, /^src\/(signing|http)\//],
  [1, /^src\/config\/[a-z-]*schema\.ts$|^src\/config\/(address|units|pem)\.ts$/],
  [1, /^src\/session\/(?!sessions\.ts|loader\.ts|cookie-sessions\.ts)/],
  [3, /^src\/stores\//],
  [3, /^src\/testing\.ts$/],
  [4, /^src\/session\/(sessions|loader|cookie-sessions)\.ts$/],
  [4, /^src\/(proxy|adapters)\//],
  [5, /^src\/gateway\//],
  [6, /^src\/(admin|config|processes|migrate|learn)\//],
  [7, /^src\/main\.ts$/],
  [8, /^(bin|bench|examples)\//],
]

interface Import { readonly from: string; readonly to: string; readonly isType: boolean }

function filesBelow(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => join(directory, name))
}

const files = [...filesBelow('src'), ...filesBelow('bin')]

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  return [...text.matchAll(/^(?:import|export)( type)? .*?from '([^']+)'|import\('([^']+)'\)/gms)].map(([, type, named, dynamic]) => {
    const specifier = named ?? dynamic ?? ''
    const to = specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), specifier)) : specifier
    return { from: file, to, isType: type !== undefined }
  })
}

const imports = files.flatMap(importsOf)
const layerOf = (file: string): number | undefined => LAYERS.find(([, pattern]) => pattern.test(file))?.[0]

test('every source file has a layer', () => {
  expect(files.filter((file) => layerOf(file) === undefined)).toEqual([])
})

test('nothing lower imports anything higher', () => {
  const climbing = imports.filter(({ from, to, isType }) => !isType && (layerOf(to) ?? 0) > (layerOf(from) ?? 0) && layerOf(to) !== undefined)
  expect(climbing.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test('session and signing do no I/O, but for sessions.ts', () => {
  const io = imports.filter(({ from, to }) => /^src\/(session|signing)\//.test(from) && !from.endsWith('sessions.ts') && /^node:(fs|net|http|https|tls|dgram|child_process|cluster|timers)/.test(to))
  expect(io).toEqual([])
})

test('only open-store.ts imports a backend, and only a backend its driver', () => {
  const backends = imports.filter(({ from, to }) => /^src\/stores\/(memory|file|redis|memcached|mongodb|sql|postgres|mysql|sqlite|cookie)\.ts$/.test(to) && !from.startsWith('src/stores/'))
  expect(backends).toEqual([])
  const drivers = imports.filter(({ from, to }) => /^(ioredis|lmdb|pg|mysql2|mongodb|memjs|libsql|better-sqlite3)/.test(to) && !from.startsWith('src/stores/') && !from.startsWith('src/migrate/'))
  expect(drivers).toEqual([])
})

test('the request path sees Sessions, never a store call; configuration stops at the builders', () => {
  const requestPath = files.filter((file) => /^src\/(gateway|proxy|http)\//.test(file) && !/build-gateway|listener/.test(file))
  const config = imports.filter(({ from, to, isType }) => requestPath.includes(from) && to.startsWith('src/config/') && !isType)
  expect(config).toEqual([])
  const stores = imports.filter(({ from, to, isType }) => requestPath.includes(from) && to.startsWith('src/stores/') && !isType)
  expect(stores).toEqual([])
})

test('Date.now() stands in clock.ts alone', () => {
  const callers = files.filter((file) => file.startsWith('src/') && /\bDate\.now\(/.test(readFileSync(join(ROOT, file), 'utf8')))
  expect(callers).toEqual(['src/clock.ts'])
})

test('every error code is a heading of docs/errors.md, and no heading is without a code', () => {
  const codes = [...readFileSync(join(ROOT, 'src/errors.ts'), 'utf8').matchAll(/code = '(ERR_\w+)'/g)].map(([, code]) => code)
  const headings = [...readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^## (ERR_\w+)/gm)].map(([, code]) => code)
  expect(new Set(headings)).toEqual(new Set([...codes, 'ERR_INTERNAL']))
})
