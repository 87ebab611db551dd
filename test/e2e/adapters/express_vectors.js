// Runs the shared vectors through examples/adapters/express; prints what it accepted and emitted as JSON.
import { readFileSync } from 'node:fs'
import { asciiJson, difference, verifyAssertion } from '../../../examples/adapters/express/sessiongate-express.js'

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const secrets = new Map(Object.entries(vectors.secrets))
const assertions = vectors.assertions.map(({ id, token }) => {
  const claims = verifyAssertion(token, secrets, vectors.audience)
  return [id, claims ? { ok: true, data: claims.data } : { ok: false }]
})
const patches = vectors.patches.map(({ id, before, after, cleared }) => {
  const { patch, control } = difference(before, after, cleared)
  return [id, { patch: patch ? asciiJson(patch) : null, control }]
})
console.log(JSON.stringify({ assertions: Object.fromEntries(assertions), patches: Object.fromEntries(patches) }))
