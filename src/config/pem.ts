import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

export type AsymmetricAlg = 'EdDSA' | 'ES256'

/** The reason a PEM private key does not serve `alg`, or undefined when it does. Never quotes the key. */
export function privateKeyProblem(pem: string, alg: AsymmetricAlg): string | undefined {
  if (/ENCRYPTED/.test(pem)) return 'the key is encrypted with a passphrase; store it without one, in a file only the gateway can read'
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) return 'expected a private key in PEM ("-----BEGIN PRIVATE KEY-----")'
  return fitProblem(() => createPrivateKey(pem), alg)
}

/** The reason a PEM public key does not serve `alg`, or undefined when it does. */
export function publicKeyProblem(pem: string, alg: AsymmetricAlg): string | undefined {
  if (/PRIVATE KEY-----/.test(pem)) return 'this is a private key, which belongs to the upstream alone; give its public key'
  if (!/-----BEGIN (PUBLIC KEY|CERTIFICATE)-----/.test(pem)) return 'expected a public key in PEM ("-----BEGIN PUBLIC KEY-----")'
  return fitProblem(() => createPublicKey(pem), alg)
}

/** RFC 8037 section 3.1: EdDSA here is Ed25519. RFC 7518 section 3.4: ES256 is P-256. */
function fitProblem(parse: () => KeyObject, alg: AsymmetricAlg): string | undefined {
  let key: KeyObject
  try {
    key = parse()
  } catch {
    return 'the PEM cannot be parsed; is it complete, with its line breaks?'
  }
  const curve = key.asymmetricKeyDetails?.namedCurve
  const found = curve ?? key.asymmetricKeyType ?? 'unknown'
  if (alg === 'EdDSA') return key.asymmetricKeyType === 'ed25519' ? undefined : `alg EdDSA needs an Ed25519 key, this is ${found}`
  return curve === 'prime256v1' ? undefined : `alg ES256 needs a P-256 key, this is ${found}`
}
