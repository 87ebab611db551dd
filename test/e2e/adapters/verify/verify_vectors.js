// Runs the shared vectors through examples/verify/node.
import { readFileSync } from 'node:fs'
import { createLocalJWKSet, errors } from 'jose'
import { verify } from '../../../../examples/verify/node/verify.js'

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const secretOf = ({ kid }) => {
  if (!Object.hasOwn(vectors.secrets, kid)) throw new errors.JWKSNoMatchingKey()
  return Buffer.from(vectors.secrets[kid])
}
// jose takes the only key of a set also for a token that names none; ours always name one.
const keys = { HS256: secretOf }
for (const [alg, jwks] of Object.entries(vectors.jwks)) {
  const byKid = createLocalJWKSet(jwks)
  keys[alg] = (header, token) => (header.kid === undefined ? secretOf(header) : byKid(header, token))
}

const assertions = {}
for (const { id, alg, token } of vectors.assertions) {
  assertions[id] = await verify(token, keys[alg], alg, vectors.audience).then((claims) => ({ ok: true, data: claims.data }), (error) => {
    if (!(error instanceof errors.JOSEError)) throw error
    return { ok: false }
  })
}
console.log(JSON.stringify({ assertions }))
