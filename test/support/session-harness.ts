import { createPlainCodec, type Codec } from '../../src/session/codec.ts'
import type { LifetimePolicy, TouchRule } from '../../src/session/lifetime.ts'
import { NO_MUTATION, readMutation, type Mutation, type MutationRules } from '../../src/session/mutation.ts'
import type { DataPath } from '../../src/session/paths.ts'
import { createSessions, type Committed, type Opened, type Sessions } from '../../src/session/sessions.ts'
import type { EpochMs, JsonObject, Session, SessionId } from '../../src/session/session.ts'
import { createCookieSigner, type CookieKey } from '../../src/signing/cookie-signer.ts'
import { createKeyRing } from '../../src/signing/keyring.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { GatedStore } from './gated-store.ts'

export const MINUTE = 60_000

export const ANY_MUTATION: MutationRules = {
  allow: new Set(['patch', 'rotate', 'destroy', 'lifetime']), writable: [[]], limits: { maxBytes: 16_384, maxDepth: 16, maxMembers: 1_000 },
}

/** A mutation as an upstream would write it. */
export function mutationOf(patch: JsonObject | undefined, control?: string): Mutation {
  return readMutation({ patch: patch ? [Buffer.from(JSON.stringify(patch)).toString('base64url')] : [], control: control === undefined ? [] : [control] }, ANY_MUTATION)
}

export interface HarnessOptions {
  readonly policy?: Partial<LifetimePolicy>
  readonly rotateOn?: readonly DataPath[]
  readonly store?: SessionStore
  readonly keys?: readonly CookieKey[]
  readonly codec?: Codec
  readonly check?: (next: Session) => void
  readonly touch?: TouchRule
  /** How long an ended or moved record is remembered; default 15 minutes. */
  readonly tombstoneMs?: number
}

/** Sessions over a real store behind gates, with a clock the test moves, spoken to as the gateway does: cookie values in and out. */
export interface Harness {
  readonly store: GatedStore
  readonly sessions: Sessions
  readonly conflicts: number
  readonly touchFailures: number
  now: number
  /** Opens the cookie's session, as a request does when it comes in. */
  open(cookie?: string | readonly string[]): Promise<Opened>
  commit(opened: Opened, patch?: JsonObject, control?: string, touch?: TouchRule): Promise<Committed>
  /** A whole request: opened, mutated, committed. */
  request(cookie: string | undefined, patch?: JsonObject, control?: string): Promise<Committed>
  /** The cookie a commit gives out; throws when it gives none. */
  cookieOf(committed: Committed): string
  /** The data behind a cookie, or undefined. */
  dataOf(cookie: string): Promise<JsonObject | undefined>
  sign(id: SessionId): string
}

const KEY: CookieKey = { id: 'c1', secret: 'harness-cookie-7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d' }

export function harness(options: HarnessOptions = {}): Harness {
  const state = { now: 1_700_000_000_000, conflicts: 0, touchFailures: 0 }
  const clock = (): EpochMs => state.now as EpochMs
  const store = new GatedStore(options.store ?? createMemoryStore({ clock }))
  const cookies = createCookieSigner(createKeyRing(options.keys ?? [KEY]))
  const sessions = createSessions({
    store, cookies, clock, codec: options.codec ?? createPlainCodec(), handleSecret: KEY.secret,
    policy: { idleMs: 30 * MINUTE, absoluteMs: 120 * MINUTE, permanent: false, refreshEachRequest: true, touchIntervalMs: MINUTE, ...options.policy },
    rotateOn: options.rotateOn ?? [], subject: undefined, tombstoneMs: options.tombstoneMs ?? 15 * MINUTE,
    events: { conflict: () => state.conflicts++, ambiguousCookies: () => {}, touchFailed: () => state.touchFailures++ },
  })
  const open = (cookie?: string | readonly string[]): Promise<Opened> => sessions.open(cookie === undefined ? [] : typeof cookie === 'string' ? [cookie] : cookie)
  const commit: Harness['commit'] = (opened, patch, control, touch = options.touch ?? 'threshold') =>
    sessions.commit(opened, patch || control !== undefined ? mutationOf(patch, control) : NO_MUTATION, { touch, check: options.check ?? (() => {}) })

  return {
    store, sessions, open, commit,
    get conflicts() { return state.conflicts },
    get touchFailures() { return state.touchFailures },
    get now() { return state.now },
    set now(value) { state.now = value },
    request: async (cookie, patch, control) => commit(await open(cookie), patch, control),
    cookieOf({ cookie }) {
      if (cookie.kind !== 'set') throw new Error(`no cookie was given out: ${cookie.kind}`)
      return cookies.sign(cookie.id)
    },
    dataOf: async (cookie) => (await open(cookie)).loaded?.session.data,
    sign: (id) => cookies.sign(id),
  }
}
