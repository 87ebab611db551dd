import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface AssertionVector {
  readonly id: string
  readonly alg: 'HS256' | 'EdDSA' | 'ES256'
  readonly valid: boolean
  readonly token: string
  readonly claims?: { readonly data: Record<string, unknown> }
  /** A harmless variant that common libraries let pass; our own adapters must not. */
  readonly onlyStrict?: true
}

export interface PatchVector {
  readonly id: string
  readonly before: Record<string, unknown>
  readonly after: Record<string, unknown>
  readonly cleared: boolean
  readonly patch?: Record<string, unknown>
  readonly control: readonly string[]
}

export interface Vectors {
  readonly audience: string
  readonly secrets: Record<string, string>
  readonly assertions: readonly AssertionVector[]
  readonly patches: readonly PatchVector[]
}

/** What a driver prints: for each assertion whether it was accepted, for each change the headers it led to. */
export interface DriverOutput {
  readonly assertions: Record<string, { ok: boolean, data?: unknown }>
  readonly patches?: Record<string, { patch: string | null, control: string[] }>
}

export const vectorsFile = fileURLToPath(new URL('../../vectors/assertion-vectors.json', import.meta.url))
export const vectors = JSON.parse(readFileSync(vectorsFile, 'utf8')) as Vectors
