import type { Clock } from '../clock.ts'
import { SessionConflictError, SessionCorruptError } from '../errors.ts'
import { createRecent } from '../recent.ts'
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
  /** Something was written: later loads must not join a read that began before. */
  forget(id: SessionId): void
  /** The session was stored at this version, in so many bytes: a load that finds the version need not decode the record. */
  remember(session: Session, version: Version, bytes: number, dataText: string): void
}

/** Rotations one request can be overtaken by. */
const MAX_HOPS = 100
/**
 * A load joins a read at most this old, so it never misses what another node had stored this long before. A page's requests come
 * closer together than that, and a store that takes longer is not waited for twice.
 */
const MAX_JOIN_MS = 5

/** What is remembered of sessions may weigh this much, in each of two generations. */
const MAX_REMEMBERED_BYTES = 6 * 1_024 * 1_024
/** Of a session beside its record. */
const KNOWN_BYTES = 300

interface Decoded {
  readonly version: Version
  readonly envelope: Envelope
  readonly dataText?: string
}

interface Reading {
  readonly startedAt: number
  result: Promise<Loaded | undefined> | undefined
}

/** What is remembered of an id. */
class Known {
  reading: Reading | undefined
  decoded: Decoded | undefined
  constructor(readonly key: string) {}
}

export function createLoader(store: SessionStore, codec: Codec, policy: LifetimePolicy, clock: Clock, storeKeyOf: (id: SessionId) => string): Loader {
  const recent = createRecent<Known>(MAX_REMEMBERED_BYTES)

  function knownOf(id: SessionId): Known {
    const known = recent.get(id)
    if (known) return known
    const fresh = new Known(storeKeyOf(id))
    recent.set(id, fresh, KNOWN_BYTES)
    return fresh
  }

  async function read(id: SessionId, known: Known, reading: Reading): Promise<Loaded | undefined> {
    try {
      const record = await store.load(known.key)
      if (!record) return undefined
      const { envelope, dataText } = decoded(id, known, record)
      return liveOf(id, known.key, record, envelope, dataText)
    } finally {
      if (known.reading === reading) known.reading = undefined
    }
  }

  /** Most reads find the version the last one found, which means the same bytes (SessionStore): those need not be parsed again. */
  function decoded(id: SessionId, known: Known, { version, bytes }: StoredRecord): Decoded {
    if (known.decoded?.version === version) return known.decoded
    return keep(id, known, { version, envelope: codec.decode(known.key, bytes) }, bytes.length)
  }

  function keep(id: SessionId, known: Known, decoded: Decoded, bytes: number): Decoded {
    known.decoded = decoded
    recent.set(id, known, bytes)
    return decoded
  }

  function liveOf(id: SessionId, key: string, record: StoredRecord, envelope: Envelope, dataText?: string): Loaded | undefined {
    if (envelope.kind !== 'live') return undefined
    const session = sessionOf(id, touchedAtOf(record.expiresAt, envelope.session.idleMs), envelope.session)
    return expiryOf(session, policy) > clock() ? { key, session, version: record.version, dataText } : undefined
  }

  function load(id: SessionId): Promise<Loaded | undefined> {
    const known = knownOf(id)
    const startedAt = performance.now()
    if (known.reading?.result && startedAt - known.reading.startedAt <= MAX_JOIN_MS) return known.reading.result
    const reading: Reading = { startedAt, result: undefined }
    known.reading = reading
    reading.result = read(id, known, reading)
    return reading.result
  }

  function forget(id: SessionId): void {
    const known = recent.get(id)
    if (known) known.reading = undefined
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
    forget,
    remember: (session, version, bytes, dataText) => {
      keep(session.id, knownOf(session.id), { version, envelope: { kind: 'live', session }, dataText }, bytes)
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
