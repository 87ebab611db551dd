import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, transform } from 'esbuild'
import type { FuzzedParser, ParserName } from './parser.ts'

interface FileCounters {
  readonly s: Record<string, number>
  readonly f: Record<string, number>
  readonly b: Record<string, number[]>
}
interface Instrumenter {
  instrumentSync(code: string, filename: string): string
}
const { createInstrumenter } = createRequire(import.meta.url)('istanbul-lib-instrument') as { createInstrumenter(options: object): Instrumenter }

/** A parser whose branches are counted. */
export interface CoveredParser {
  readonly parser: FuzzedParser
  /**
   * Runs one input and tells what it went through: a number for each branch and how often, in powers of two. Rejects with whatever the
   * check throws.
   */
  run(input: Buffer): Promise<readonly number[]>
}

const COUNTERS = '__fuzzCoverage__'

/** Bundles the parser with every branch of `src/` counted (Istanbul), and loads it. Packages stay as they are. */
export async function loadCovered(name: ParserName): Promise<CoveredParser> {
  const directory = join(import.meta.dirname, '../../coverage/fuzz')
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, `${name}-${process.pid}.mjs`)
  const instrumenter = createInstrumenter({ esModules: true, compact: true, coverageVariable: COUNTERS, preserveComments: false })
  await build({
    entryPoints: [join(import.meta.dirname, `parsers/${name}.ts`)],
    outfile, bundle: true, format: 'esm', platform: 'node', target: 'node20', packages: 'external', logLevel: 'error',
    plugins: [{
      name: 'count',
      setup(plugin) {
        plugin.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
          const { code } = await transform(readFileSync(path, 'utf8'), { loader: 'ts', target: 'node20' })
          return { contents: instrumenter.instrumentSync(code, path), loader: 'js' }
        })
      },
    }],
  })
  const { parser } = await import(pathToFileURL(outfile).href) as { parser: FuzzedParser }
  process.once('exit', () => rmSync(outfile))
  const counters = createCounters()
  return {
    parser,
    async run(input) {
      counters.reset()
      const checked = parser.check(input)
      if (checked) await checked
      return counters.read()
    },
  }
}

/** A feature is a branch and a power of two: `index * POWERS + power`. */
export const POWERS = 8

/** Istanbul's counters as one list. Files that are loaded late join it late. */
function createCounters(): { reset(): void; read(): number[] } {
  const files = (): FileCounters[] => Object.values((globalThis as unknown as Record<string, Record<string, FileCounters>>)[COUNTERS] ?? {})
  const places: { readonly in: Record<string, number>; readonly key: string }[] = []
  let known = 0
  const update = (): void => {
    const all = files()
    for (const { s, f, b } of all.slice(known)) {
      for (const key of Object.keys(s)) places.push({ in: s, key })
      for (const key of Object.keys(f)) places.push({ in: f, key })
      for (const list of Object.values(b)) list.forEach((_, at) => places.push({ in: list as unknown as Record<string, number>, key: String(at) }))
    }
    known = all.length
  }
  return {
    reset() {
      update()
      for (const place of places) place.in[place.key] = 0
    },
    read() {
      update()
      const seen: number[] = []
      places.forEach((place, index) => {
        const count = place.in[place.key] as number
        if (count > 0) seen.push(index * POWERS + Math.min(POWERS - 1, 31 - Math.clz32(count)))
      })
      return seen
    },
  }
}
