/**
 * The coverage-guided search of `npm run fuzz`:
 *
 *     npm run fuzz -- --parser cookies --seconds 60 [--seed 1]      (without --parser: each in turn)
 *
 * Keeps the inputs that reach something new under test/fuzz/corpus/<parser>/, and what broke a promise there as finding-*: the suite
 * runs them all (corpus.test.ts), so a finding stays red until it is mended. Ends with status 1 when there was one.
 */
import { parseArgs } from 'node:util'
import { readCorpus, writeCorpus, writeFinding } from './corpus.ts'
import { loadCovered } from './covered.ts'
import { createRandom } from './mutate.ts'
import { NAMES, type ParserName } from './parser.ts'
import { search } from './search.ts'

const { values } = parseArgs({ options: { parser: { type: 'string' }, seconds: { type: 'string', default: '60' }, seed: { type: 'string' } } })
const names = values.parser === undefined ? NAMES : NAMES.filter((name) => name === values.parser)
if (names.length === 0) {
  console.error(`no parser "${values.parser}"; there are: ${NAMES.join(', ')}`)
  process.exit(2)
}

async function fuzz(name: ParserName): Promise<boolean> {
  const seed = Number(values.seed ?? Date.now() % 2 ** 32)
  const { runs, features, kept, findings } = await search(await loadCovered(name), {
    seconds: Number(values.seconds), random: createRandom(seed), start: [...readCorpus(name).values()],
  })
  writeCorpus(name, kept)
  console.log(`${name}: ${runs} runs, ${features} features, ${kept.length} inputs kept, ${findings.length} findings (seed ${seed})`)
  for (const { input, error } of findings) {
    console.log(`  ${writeFinding(name, input)}\n  ${JSON.stringify(input.toString('latin1').slice(0, 300))}`)
    console.log(error)
  }
  return findings.length > 0
}

for (const name of names) if (await fuzz(name)) process.exitCode = 1
