import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { missing, output, PYTHON } from './adapters/toolchains.ts'
import { vectors, vectorsFile } from './adapters/vectors.ts'
import type { AssertionVector, DriverOutput } from './adapters/vectors.ts'

const run = promisify(execFile)
const drivers = fileURLToPath(new URL('adapters/verify/', import.meta.url))
const examples = fileURLToPath(new URL('../../examples/verify/', import.meta.url))
const NIMBUS = 'com.nimbusds:nimbus-jose-jwt:10.3'

type Algorithm = AssertionVector['alg']

interface Library {
  readonly name: string
  readonly probe: readonly [string, ...string[]]
  readonly install: string
  /** What the library verifies without another library. */
  readonly algorithms: readonly Algorithm[]
  /** Compiles where there is something to compile, runs the vectors, resolves to what was printed. */
  readonly run: (directory: string) => Promise<string>
}

const libraries: readonly Library[] = [
  {
    name: 'PyJWT', probe: [PYTHON, '-c', 'import jwt, cryptography'], install: 'apt-get install -y python3-jwt python3-cryptography',
    algorithms: ['HS256', 'EdDSA', 'ES256'],
    run: () => output([PYTHON, join(drivers, 'verify_vectors.py'), vectorsFile], { PYTHONPATH: join(examples, 'python') }),
  },
  {
    name: 'jose', probe: [process.execPath, '--version'], install: 'npm ci', algorithms: ['HS256', 'EdDSA', 'ES256'],
    run: () => output([process.execPath, join(drivers, 'verify_vectors.js'), vectorsFile]),
  },
  {
    name: 'ruby-jwt', probe: ['ruby', '-e', 'require "jwt"'], install: 'apt-get install -y ruby ruby-jwt', algorithms: ['HS256', 'ES256'],
    run: () => output(['ruby', join(drivers, 'verify_vectors.rb'), vectorsFile]),
  },
  {
    name: 'golang-jwt', probe: ['go', 'version'], install: 'install Go 1.22 or newer (https://go.dev/dl)', algorithms: ['HS256', 'EdDSA', 'ES256'],
    run: async (directory) => {
      await run('go', ['build', '-o', join(directory, 'verify'), '.'], { cwd: join(drivers, 'go'), env: { ...process.env, GOFLAGS: '-buildvcs=false', GOTOOLCHAIN: 'local' } })
      return output([join(directory, 'verify'), vectorsFile])
    },
  },
  {
    name: 'Nimbus', probe: ['bash', '-c', 'javac -version && mvn --version'], install: 'apt-get install -y default-jdk-headless maven', algorithms: ['HS256', 'ES256'],
    run: async (directory) => {
      await run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${NIMBUS}`, `-DoutputDirectory=${directory}`], { cwd: directory })
      const classes = `${directory}:${directory}/*`
      await run('javac', ['-nowarn', '-d', directory, '-cp', classes, join(examples, 'java/Verify.java'), join(drivers, 'java/VerifyVectors.java')])
      return output(['java', '-cp', classes, 'VerifyVectors', vectorsFile])
    },
  },
]

test.for(libraries)('the check with $name accepts and refuses what it should', { timeout: 60_000 }, async (library, { skip }) => {
  const reason = await missing(library)
  skip(reason !== undefined, reason)
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-verify-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))

  const { assertions } = JSON.parse(await library.run(directory)) as DriverOutput

  const judged = vectors.assertions.filter(({ alg, onlyStrict }) => library.algorithms.includes(alg) && !onlyStrict)
  expect(judged.map(({ id }) => [id, assertions[id]]))
    .toEqual(judged.map(({ id, valid, claims }) => [id, valid ? { ok: true, data: claims?.data } : { ok: false }]))
})
