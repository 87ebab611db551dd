import { hkdfSync } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { createPlainCodec, createSealedCodec, type Codec, type RecordKey } from '../session/codec.ts'
import { createCookieInventory } from '../session/cookie-inventory.ts'
import { createInventory, type Inventory } from '../session/inventory.ts'
import type { LifetimePolicy } from '../session/lifetime.ts'
import { parsePath } from '../session/paths.ts'
import type { JsonObject, SessionId } from '../session/session.ts'
import { createSubjects, type Subjects } from '../session/subjects.ts'
import { createSubjectReader } from '../signing/assertion.ts'
import type { SessionStore } from '../stores/store.ts'

/** What the request path and the operators' API both need to understand a store's records. */
export interface SessionParts {
  readonly codec: Codec
  readonly policy: LifetimePolicy
  /** Where a session is stored, where that is not under the hash of its id. */
  readonly storeKeyOf?: (id: SessionId) => string
  /** Undefined where sessions are neither revoked by subject nor limited. */
  readonly subjects: Subjects | undefined
  /** How long an ended or moved record is remembered: longer than any request. */
  readonly tombstoneMs: number
  readonly inventory: Inventory
}

/** Room for requests without a total timeout: uploads, slow answers. A tombstone outlives them all. */
const TOMBSTONE_SLACK_MS = 15 * 60_000

export async function sessionPartsOf(config: Config, store: SessionStore, clock: Clock): Promise<SessionParts> {
  const { idle, absolute, permanent, refreshEachRequest, touchInterval, maxPerSubject, onMaxPerSubject, revocation } = config.session
  const recordFormat = config.store.kind === 'redis' ? config.store.recordFormat : undefined
  const shared = recordFormat && (await import('./build-shared-sessions.ts')).sharedPartsOf(config, recordFormat)
  const codec = shared?.codec ?? codecOf(config)
  const policy = { idleMs: idle, absoluteMs: absolute, permanent, refreshEachRequest, touchIntervalMs: touchInterval, ...shared?.lifetimes }
  const tombstoneMs = TOMBSTONE_SLACK_MS + longestRequestMs(config)
  const subjectOf = subjectReaderOf(config)
  const common = { store, codec, policy, clock, subjectOf, tombstoneMs }
  const limit = maxPerSubject === undefined ? undefined : { sessions: maxPerSubject, over: onMaxPerSubject }
  const subjects = revocation || limit ? createSubjects({ ...common, limit }) : undefined
  const inventory = config.store.kind === 'cookie' ? createCookieInventory() : createInventory({ ...common, subjects })
  return { codec, policy, subjects, tombstoneMs, inventory, ...(shared && { storeKeyOf: shared.storeKeyOf }) }
}

function subjectReaderOf({ session: { subject } }: Config): (data: JsonObject) => string | undefined {
  return createSubjectReader(subject === undefined ? undefined : parsePath(subject))
}

function codecOf(config: Config): Codec {
  const [first, ...rest] = config.keys.record.map(({ id, secret }): RecordKey => ({
    id, bytes: Buffer.from(hkdfSync('sha256', secret, '', 'sessiongate record', 32)),
  }))
  return first ? createSealedCodec([first, ...rest]) : createPlainCodec()
}

function longestRequestMs({ routes, upstreams }: Config): number {
  return Math.max(...routes.map(({ upstream, timeouts }) => {
    const defaults = upstreams[upstream]?.timeouts
    return (timeouts.firstByte ?? defaults?.firstByte ?? 0) + (timeouts.total ?? defaults?.total ?? 0)
  }))
}
