import { POWERS, type CoveredParser } from './covered.ts'
import { grownFrom } from './corpus.ts'
import { mutated, type Random } from './mutate.ts'
import { bytesOf } from './parser.ts'

export interface Finding {
  readonly input: Buffer
  readonly error: unknown
}

export interface Search {
  readonly runs: number
  readonly features: number
  /** The fewest inputs that still go through every branch that was reached, once and more than once; short ones first. */
  readonly kept: readonly Buffer[]
  /** One for each place that throws. */
  readonly findings: readonly Finding[]
}

export interface SearchOptions {
  readonly seconds: number
  readonly random: Random
  readonly start: readonly Buffer[]
}

interface Kept {
  readonly input: Buffer
  readonly features: readonly number[]
}

const MAX_BYTES = 1_024
const MAX_MS = 500
const MAX_FINDINGS = 10

/** An input took far longer than reading it once can take. */
export class TooSlowError extends Error {}

/** Searches for inputs that go where none went before, from the seeds and what was kept earlier, and for those that break a promise. */
export async function search(covered: CoveredParser, { seconds, random, start }: SearchOptions): Promise<Search> {
  const words = covered.parser.words.map(bytesOf)
  const reached = new Set<number>()
  const kept: Kept[] = []
  const findings = new Map<string, Finding>()
  let runs = 0

  async function featuresOf(input: Buffer): Promise<readonly number[] | undefined> {
    runs++
    try {
      const { features, tookMs } = await timed(covered, input)
      // The machine may have been busy with something else: thrice in a row it was the input.
      if (tookMs > MAX_MS && (await timed(covered, input)).tookMs > MAX_MS && (await timed(covered, input)).tookMs > MAX_MS) throw new TooSlowError(`${input.length} bytes took ${Math.round(tookMs)} ms`)
      return features
    } catch (error) {
      const place = placeOf(error)
      const known = findings.get(place)
      if (!known || known.input.length > input.length) findings.set(place, { input, error })
      return undefined
    }
  }

  async function consider(input: Buffer): Promise<void> {
    const features = await featuresOf(input)
    if (!features?.some((feature) => !reached.has(feature))) return
    for (const feature of features) reached.add(feature)
    kept.push({ input, features })
    for (const grown of grownFrom(input, covered.parser)) await featuresOf(grown)
  }

  for (const input of [...covered.parser.seeds.map(bytesOf), ...start]) await consider(input)
  if (kept.length === 0) kept.push({ input: Buffer.from('0'), features: [] })
  const until = performance.now() + seconds * 1_000
  while (performance.now() < until && findings.size < MAX_FINDINGS) {
    // What was found last is likelier to lead on.
    const from = random.below(2) === 0 ? random.of(kept) : random.of(kept.slice(-20))
    await consider(mutated(from.input, random, words, kept.slice(-500).map(({ input }) => input), MAX_BYTES))
  }
  return { runs, features: reached.size, kept: fewest(kept), findings: [...findings.values()] }
}

async function timed(covered: CoveredParser, input: Buffer): Promise<{ readonly features: readonly number[]; readonly tookMs: number }> {
  const startedAt = performance.now()
  const features = await covered.run(input)
  return { features, tookMs: performance.now() - startedAt }
}

/** Errors of one line of code are one finding. */
function placeOf(error: unknown): string {
  if (error instanceof TooSlowError) return 'slow'
  if (!(error instanceof Error)) return String(error)
  const frames = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '))
  return `${error.name} ${frames.find((line) => !line.includes('node:')) ?? error.message}`
}

function fewest(kept: readonly Kept[]): Buffer[] {
  const covered = new Set<number>()
  const chosen: Buffer[] = []
  for (const { input, features } of [...kept].sort((a, b) => a.input.length - b.input.length)) {
    const branches = features.map((feature) => Math.floor(feature / POWERS) * 2 + Math.min(1, feature % POWERS))
    if (branches.every((branch) => covered.has(branch))) continue
    for (const branch of branches) covered.add(branch)
    chosen.push(input)
  }
  return chosen
}
