// The check with jose (npm install jose). `keys`: a function from the header to the key, such as createRemoteJWKSet(url) or
// createLocalJWKSet(jwks) for EdDSA and ES256; for HS256 one that picks the secret's bytes by `kid`.
import { jwtVerify } from 'jose'

/** The claims, or a rejection: jose refuses critical headers it does not know, other algorithms, types and audiences. */
export async function verify(token, keys, alg, audience) {
  const { payload } = await jwtVerify(token, keys, { algorithms: [alg], audience, typ: 'session+jwt', requiredClaims: ['exp'] })
  return payload
}
