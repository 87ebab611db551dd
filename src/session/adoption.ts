import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { SessionConflictError } from '../errors.ts'
import { sealSuccessor, storeKeyOf } from '../signing/ids.ts'
import type { SessionStore, StoredRecord, WriteOutcome } from '../stores/store.ts'
import type { Codec } from './codec.ts'
import { storeExpiryOf } from './lifetime.ts'
import type { Loaded, Loader } from './loader.ts'
import type { EpochMs, JsonObject, Session, SessionId, StoredSession } from './session.ts'
import type { Subjects } from './subjects.ts'

/** A session that an app kept by its own means, as the visitor's browser still holds it. */
export interface OldSession {
  /** Names what the browser holds (claimOf): the same for every request that brings it. */
  readonly claim: SessionId
  /** Undefined: only what `sessiongate migrate` has brought under this claim is taken over. */
  readonly data: JsonObject | undefined
  readonly jar: JsonObject
  readonly permanent: boolean
  /** From when on the app itself would not accept it. So long it is remembered as taken over. */
  readonly until: EpochMs
}

/** Where an old session may be found again by what the browser still holds: other requests of the same page, a lost answer. */
const GRACE_MS = 60 * 60_000

export interface AdoptionOptions {
  readonly store: SessionStore
  readonly codec: Codec
  readonly loader: Loader
  readonly clock: Clock
  /** A new session without data. */
  readonly blank: () => Session
  readonly subjects?: Subjects | undefined
}

/** A name for the content of an app's own cookie. It says nothing of the content, and no signed cookie of ours can hold it. */
export function claimOf(content: string): SessionId {
  return hash('sha256', `sessiongate adoption\0${content}`, 'base64url') as SessionId
}

/**
 * Makes an old session one of ours, once. The claim leaves a record that points to the new session, as a rotation does; of
 * parallel requests one creates, the others follow. After an hour, or once the new session has ended or moved to another id, the
 * pointer opens nothing: whoever replays the old cookie has no session. Resolves to undefined then.
 */
export function createAdoption({ store, codec, loader, clock, blank, subjects }: AdoptionOptions) {
  async function follow(claim: SessionId, pointer: StoredRecord): Promise<Loaded | undefined> {
    const id = loader.successorOf(claim, pointer)
    const loaded = id && await loader.load(id)
    return loaded && loaded.session.createdAt + GRACE_MS > clock() ? loaded : undefined
  }

  /** Stores the session, then lets `claimWith` put the pointer in its place; where another request was first, its session is the one. */
  async function settle(claim: SessionId, found: Session, claimWith: (pointer: Uint8Array) => Promise<WriteOutcome>): Promise<Loaded | undefined> {
    const claimKey = storeKeyOf(claim)
    const key = storeKeyOf(found.id)
    const session = subjects ? await subjects.admit(undefined, found, key) ?? found : found
    const written = await store.create(key, codec.encode(key, { kind: 'live', session }), storeExpiryOf(session))
    if (written.outcome !== 'stored') throw new SessionConflictError(1)
    const claimed = await claimWith(codec.encode(claimKey, { kind: 'moved', sealedSuccessor: sealSuccessor(claim, session.id) }))
    if (claimed.outcome === 'stored') return { key, session, version: written.version }
    await store.destroy(key, clock())
    await subjects?.withdraw(session, key)
    const winner = await store.load(claimKey)
    return winner && follow(claim, winner)
  }

  return async function adopt(old: OldSession, check: (session: Session) => void): Promise<Loaded | undefined> {
    const claimKey = storeKeyOf(old.claim)
    const known = await store.load(claimKey)
    const waiting = known && waitingIn(claimKey, known)
    if (known && !waiting) return follow(old.claim, known)
    if (waiting && subjects && !await subjects.isLive(claimKey, waiting)) return undefined
    const { data, jar = {}, permanent } = waiting ?? old
    if (data === undefined) return undefined
    const found: Session = { ...blank(), data, jar, permanent }
    check(found)
    return settle(old.claim, found, (pointer) => known
      ? store.replace(claimKey, known.version, pointer, known.expiresAt)
      : store.create(claimKey, pointer, old.until))
  }

  function waitingIn(claimKey: string, record: StoredRecord): StoredSession | undefined {
    const envelope = codec.decode(claimKey, record.bytes)
    return envelope.kind === 'waiting' ? envelope.session : undefined
  }
}
