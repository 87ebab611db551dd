import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing, output, prepare, toolchains } from './adapters/toolchains.ts'
import { vectors } from './adapters/vectors.ts'
import type { DriverOutput } from './adapters/vectors.ts'

const PRINTABLE_ASCII = /^[ -~]*$/

describe.each(toolchains)('the $name adapter', (toolchain) => {
  let seen: DriverOutput | undefined
  let reason: string | undefined
  let prepared: Awaited<ReturnType<typeof prepare>> | undefined

  beforeAll(async () => {
    reason = await missing(toolchain)
    if (reason) return
    prepared = await prepare(toolchain)
    seen = JSON.parse(await output(toolchain.vectors(prepared.directory), toolchain.env)) as DriverOutput
  })
  afterAll(() => prepared?.[Symbol.asyncDispose]())

  test('accepts what the gateway signs, to the last value, and nothing else', ({ skip }) => {
    skip(reason !== undefined, reason)
    const own = vectors.assertions.filter(({ alg }) => alg === 'HS256')
    const expected = own.map(({ id, valid, claims }) => [id, valid ? { ok: true, data: claims?.data } : { ok: false }])
    expect(own.map(({ id }) => [id, seen?.assertions[id]])).toEqual(expected)
  })

  test('says what changed, in characters a header may hold', ({ skip }) => {
    skip(reason !== undefined, reason)
    const emitted = vectors.patches.map(({ id }) => {
      const { patch, control } = seen?.patches?.[id] ?? { patch: 'not run', control: [] }
      expect(patch ?? '', id).toMatch(PRINTABLE_ASCII)
      return [id, { patch: patch === null ? undefined : JSON.parse(patch) as unknown, control }]
    })
    expect(emitted).toEqual(vectors.patches.map(({ id, patch, control }) => [id, { patch, control }]))
  })
})
