import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FuzzedParser, ParserName } from './parser.ts'

const ROOT = join(import.meta.dirname, 'corpus')

/** The inputs kept for a parser, by file name. */
export function readCorpus(name: ParserName): ReadonlyMap<string, Buffer> {
  const directory = join(ROOT, name)
  if (!existsSync(directory)) return new Map()
  return new Map(readdirSync(directory).sort().map((file) => [file, readFileSync(join(directory, file))]))
}

/** Makes `inputs` the whole corpus. Findings, whose names begin with `finding-`, stay. */
export function writeCorpus(name: ParserName, inputs: readonly Buffer[]): void {
  const directory = join(ROOT, name)
  mkdirSync(directory, { recursive: true })
  for (const file of readdirSync(directory)) if (!file.startsWith('finding-')) rmSync(join(directory, file))
  for (const input of inputs) writeFileSync(join(directory, fileNameOf(input)), input)
}

/** Keeps an input that broke a promise, so that the suite fails until it no longer does. Gives its path. */
export function writeFinding(name: ParserName, input: Buffer): string {
  const directory = join(ROOT, name)
  mkdirSync(directory, { recursive: true })
  const path = join(directory, `finding-${fileNameOf(input)}`)
  writeFileSync(path, input)
  return path
}

function fileNameOf(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 12)
}

/** The input over and over again, and its end over and over again: whatever takes more than linear time takes seconds of them. */
export function grownFrom(input: Buffer, { maxBytes = 65_536 }: FuzzedParser): readonly Buffer[] {
  if (input.length === 0) return []
  const whole = Buffer.alloc(maxBytes, input)
  const half = input.length >> 1
  const end = Buffer.alloc(maxBytes, input.subarray(half))
  return half === 0 ? [whole] : [whole, Buffer.concat([input.subarray(0, half), end])]
}
