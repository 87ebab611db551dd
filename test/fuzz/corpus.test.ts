import { describe, expect, test } from 'vitest'
import { grownFrom, readCorpus } from './corpus.ts'
import { bytesOf, NAMES, type FuzzedParser } from './parser.ts'

/** Reading the most there can be takes milliseconds; what is quadratic in it takes seconds. */
const MAX_MS = 500

describe.each(NAMES)('%s', async (name) => {
  const { parser } = await import(`./parsers/${name}.ts`) as { parser: FuzzedParser }
  const corpus = readCorpus(name)

  test('keeps its promises for every input of the corpus', async () => {
    expect(corpus.size).toBeGreaterThan(0)
    for (const [file, input] of [...parser.seeds.map((seed, i) => [`seed ${i}`, bytesOf(seed)] as const), ...corpus]) {
      try {
        await parser.check(input)
      } catch (error) {
        throw new Error(`${file}: ${JSON.stringify(input.toString('latin1'))}`, { cause: error })
      }
    }
  })

  test('reads the most there can be, made of any of them, in linear time', async () => {
    for (const [file, input] of corpus) {
      for (const grown of grownFrom(input, parser)) {
        // The machine may be busy with something else once, hardly three times in a row.
        for (let tries = 3, tookMs = Infinity; tookMs > MAX_MS; tries--) {
          if (tries === 0) throw new Error(`${file}, grown to ${grown.length} bytes, took ${Math.round(tookMs)} ms`)
          const startedAt = performance.now()
          await parser.check(grown)
          tookMs = performance.now() - startedAt
        }
      }
    }
  })
})
