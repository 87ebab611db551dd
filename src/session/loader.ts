import type { Clock } from '../clock.ts'
import { SessionCorruptError } from '../errors.ts'
import { openSuccessor, storeKeyOf } from '../signing/ids.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Codec, Envelope } from './codec.ts'
import { expiryOf, touchedAtOf, type LifetimePolicy } from './lifetime.ts'
import type { Session, SessionId, Version } from './session.ts'

/** A session and the version of the record it was read from. */
export interface Loaded {
  readonly key: string
  readonly session: Session
  readonly version: Version
}

/** What a commit finds when it looks again: followed is true when a rotation had moved the session meanwhile. */
export interface Reloaded extends Loaded {
  readonly followed: boolean
}

export interface Loader {
  /** The live session of this id, or undefined. Concurrent loads of one id share one store read. */
  load(id: SessionId): Promise<Loaded | undefined>
  /** The newest state, following rotations; undefined when the session has ended. Never shared. */
  reload(id: SessionId): Promise<Reloaded | undefined>
  /** The id a record left by a rotation points to; undefined when the record is anything else. */
  successorOf(id: SessionId, record: StoredRecord): SessionId | undefined
  /** Later loads must not join a read that began before this write. */
  forget(key: string): void
}

const MAX_HOPS = 8

export function createLoader(store: SessionStore, codec: Codec, policy: LifetimePolicy, clock: Clock): Loader {
  const inFlight = new Map<string, Promise<Loaded | undefined>>()

  async function read(id: SessionId, key: string): Promise<Loaded | undefined> {
    const record = await store.load(key)
    return record && liveOf(id, key, record, codec.decode(key, record.bytes))
  }

  function liveOf(id: SessionId, key: string, record: StoredRecord, envelope: Envelope): Loaded | undefined {
    if (envelope.kind !== 'live') return undefined
    const session: Session = { id, touchedAt: touchedAtOf(record.expiresAt, envelope.session.idleMs), ...envelope.session }
    return expiryOf(session, policy) > clock() ? { key, session, version: record.version } : undefined
  }

  function load(id: SessionId): Promise<Loaded | undefined> {
    const key = storeKeyOf(id)
    const joined = inFlight.get(key)
    if (joined) return joined
    const loading = read(id, key).finally(() => {
      if (inFlight.get(key) === loading) inFlight.delete(key)
    })
    inFlight.set(key, loading)
    return loading
  }

  async function reload(firstId: SessionId): Promise<Reloaded | undefined> {
    let id = firstId
    for (let hop = 0; hop <= MAX_HOPS; hop++) {
      const key = storeKeyOf(id)
      const record = await store.load(key)
      if (!record) return undefined
      const envelope = codec.decode(key, record.bytes)
      if (envelope.kind !== 'moved') {
        const live = liveOf(id, key, record, envelope)
        return live && { ...live, followed: hop > 0 }
      }
      id = unseal(id, envelope.sealedSuccessor)
    }
    throw new SessionCorruptError(`moved more than ${MAX_HOPS} times`)
  }

  return {
    load,
    reload,
    successorOf(id, record) {
      const envelope = codec.decode(storeKeyOf(id), record.bytes)
      return envelope.kind === 'moved' ? unseal(id, envelope.sealedSuccessor) : undefined
    },
    forget: (key) => void inFlight.delete(key),
  }
}

function unseal(id: SessionId, sealed: string): SessionId {
  try {
    return openSuccessor(id, sealed)
  } catch (error) {
    throw new SessionCorruptError('the pointer of a rotation does not open', error)
  }
}
