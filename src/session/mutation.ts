import type { JsonObject, Version } from './session.ts'

/** Shorter lifetimes asked for by the upstream, and whether the cookie outlives the browser. Undefined: as it is. */
export interface LifetimeChange {
  readonly permanent: boolean | undefined
  readonly idleMs: number | undefined
  readonly absoluteMs: number | undefined
}

export type Mutation =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'change'
      readonly patch: JsonObject
      readonly base: 'keep' | 'clear' | 'replace'
      readonly rotate: boolean
      readonly lifetime: LifetimeChange
      readonly ifVersion: Version | undefined
    }
  | { readonly kind: 'destroy' }
