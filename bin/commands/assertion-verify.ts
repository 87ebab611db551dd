import type { Config } from '../../src/config/schema.ts'
import { verificationKeyOf, verifyJws, type VerificationKey } from '../../src/signing/verify-jws.ts'
import type { ConfigArguments } from '../arguments.ts'
import { UsageError } from '../errors.ts'
import { openConfig } from '../open-config.ts'

export interface VerifyOptions {
  readonly token?: string | undefined
  readonly audience?: string | undefined
}

const MAX_TOKEN_BYTES = 131_072

/** Prints the claims of a valid assertion (exit code 0), or why an app must refuse it (1). */
export async function runAssertionVerify(args: ConfigArguments, { token, audience }: VerifyOptions): Promise<number> {
  const { loaded: { config } } = await openConfig(args)
  const text = (token === undefined || token === '-' ? await readInput() : token).replace(/^[A-Za-z0-9-]+:\s*/, '').trim()
  if (text === '') throw new UsageError('give the token as an argument or on standard input')

  const verified = verifyJws(text, keysOf(config))
  const reason = verified.ok ? claimsProblem(verified.claims, config, audience) : verified.reason
  if (verified.ok) process.stdout.write(`${JSON.stringify(verified.claims, null, 2)}\n`)
  process.stderr.write(reason === undefined ? 'valid\n' : `not valid: ${reason}\n`)
  return reason === undefined ? 0 : 1
}

function keysOf({ keys }: Config): VerificationKey[] {
  return keys.assertion.map((key) => verificationKeyOf(key.id, key.alg, key.alg === 'HS256' ? key.secret : key.privateKey))
}

/** What an app checks after the signature: issuer, audience and time (RFC 7519 section 4.1). */
function claimsProblem(claims: Readonly<Record<string, unknown>>, config: Config, audience: string | undefined): string | undefined {
  const { iss, aud, exp, iat } = claims
  const now = Math.floor(Date.now() / 1_000)
  const audiences = audience === undefined ? Object.keys(config.upstreams) : [audience]
  if (iss !== config.issuer) return `the issuer is not ${config.issuer}`
  if (typeof aud !== 'string' || !audiences.includes(aud)) return `the audience is none of ${audiences.join(', ')}`
  if (typeof exp !== 'number' || typeof iat !== 'number') return 'exp or iat is missing'
  if (exp <= now) return `expired ${now - exp} s ago`
  return iat > now + 60 ? `issued ${iat - now} s in the future; is a clock wrong?` : undefined
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes > MAX_TOKEN_BYTES) throw new UsageError('what is on standard input is too long to be a token')
  }
  return Buffer.concat(chunks).toString('utf8')
}
