import type { Clock } from '../clock.ts'
import { SessionConflictError, SessionCorruptError } from '../errors.ts'
import { createRecent } from '../recent.ts'
import { TransientMap } from '../transient-map.ts'
import { openSuccessor } from '../signing/ids.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Codec, Envelope } from './codec.ts'
import { expiryOf, touchedAtOf, type LifetimePolicy } from './lifetime.ts'
import { sessionOf, type Session, type SessionId, type Version } from './session.ts'

/** A session and the version of the record it was read from. */
export interface Loaded {
  readonly key: string
  readonly session: Session
  readonly version: Version
  /** The JSON of the session's data, where it is at hand. */
  readonly dataText?: string | undefined
}

/** Where a session stands by now for a request that opened it before. */
export interface Standing extends Loaded {
  /** A rotation has moved it to an id that this request did not present. */
  readonly isSuccessor: boolean
}

export interface Loader {
  /** The live session of this id, or undefined. Loads of one id that come together share one store read. */
  load(id: SessionId): Promise<Loaded | undefined>
  /** The newest state, following rotations; undefined when the session has ended. Never shared. */
  reload(id: SessionId): Promise<Standing | undefined>
  /** The id a record left by a rotation points to; undefined when the record is anything else. */
  successorOf(id: SessionId, record: StoredRecord): SessionId | undefined
  /** Later loads must not join a read that began before this write. */
  forget(key: string): void
  /** These bytes were stored for this session: a load that finds them need not decode them. */
  remember(key: string, bytes: Uint8Array, session: Session, dataText: string): void
}

/** Rotations one request can be overtaken by. */
const MAX_HOPS = 100
/**
 * A load joins a read at most this old, so it never misses what another node had stored this long before. A page's requests come
 * closer together than that, and a store that takes longer is not waited for twice.
 */
const MAX_JOIN_MS = 5

/** Store keys remembered, and bytes of records, in each of two generations. */
const MAX_KEYS = 10_000
const MAX_DECODED_BYTES = 4 * 1_024 * 1_024

interface Decoded {
  readonly bytes: Uint8Array
  readonly envelope: Envelope
  readonly dataText?: string
}

interface Reading {
  readonly startedAt: number
  result: Promise<Loaded | undefined> | undefined
}

export function createLoader(store: SessionStore, codec: Codec, policy: LifetimePolicy, clock: Clock, storeKeyOf: (id: SessionId) => string): Loader {
  const inFlight = new TransientMap<string, Reading>()

  const keys = createRecent<string>(MAX_KEYS)
  const decoded = createRecent<Decoded>(MAX_DECODED_BYTES)

  function keyOf(id: SessionId): string {
    const known = keys.get(id)
    if (known !== undefined) return known
    const key = storeKeyOf(id)
    keys.set(id, key, 1)
    return key
  }

  async function read(id: SessionId, key: string, reading: Reading): Promise<Loaded | undefined> {
    try {
      const record = await store.load(key)
      if (!record) return undefined
      const { envelope, dataText } = decode(key, record.bytes)
      return liveOf(id, key, record, envelope, dataText)
    } finally {
      if (inFlight.get(key) === reading) inFlight.delete(key)
    }
  }

  /** Most reads find the very bytes the last one found: those need not be parsed again. */
  function decode(key: string, bytes: Uint8Array): Decoded {
    const known = decoded.get(key)
    if (known && Buffer.compare(known.bytes, bytes) === 0) return known
    const fresh = { bytes, envelope: codec.decode(key, bytes) }
    decoded.set(key, fresh, bytes.length)
    return fresh
  }

  function liveOf(id: SessionId, key: string, record: StoredRecord, envelope: Envelope, dataText?: string): Loaded | undefined {
    if (envelope.kind !== 'live') return undefined
    const session = sessionOf(id, touchedAtOf(record.expiresAt, envelope.session.idleMs), envelope.session)
    return expiryOf(session, policy) > clock() ? { key, session, version: record.version, dataText } : undefined
  }

  function load(id: SessionId): Promise<Loaded | undefined> {
    const key = keyOf(id)
    const startedAt = performance.now()
    const current = inFlight.get(key)
    if (current?.result && startedAt - current.startedAt <= MAX_JOIN_MS) return current.result
    const reading: Reading = { startedAt, result: undefined }
    inFlight.set(key, reading)
    reading.result = read(id, key, reading)
    return reading.result
  }

  async function reload(firstId: SessionId): Promise<Standing | undefined> {
    let id = firstId
    for (let hop = 0; hop <= MAX_HOPS; hop++) {
      const key = storeKeyOf(id)
      const record = await store.load(key)
      if (!record) return undefined
      const envelope = codec.decode(key, record.bytes)
      if (envelope.kind !== 'moved') {
        const live = liveOf(id, key, record, envelope)
        return live && { ...live, isSuccessor: hop > 0 }
      }
      id = unseal(id, envelope.sealedSuccessor)
    }
    throw new SessionConflictError(MAX_HOPS)
  }

  return {
    load,
    reload,
    successorOf(id, record) {
      const envelope = codec.decode(storeKeyOf(id), record.bytes)
      return envelope.kind === 'moved' ? unseal(id, envelope.sealedSuccessor) : undefined
    },
    forget: (key) => inFlight.delete(key),
    remember(key, bytes, session, dataText) {
      decoded.set(key, { bytes, envelope: { kind: 'live', session }, dataText }, bytes.length)
    },
  }
}

function unseal(id: SessionId, sealed: string): SessionId {
  try {
    return openSuccessor(id, sealed)
  } catch (error) {
    throw new SessionCorruptError('the pointer of a rotation does not open', error)
  }
}
