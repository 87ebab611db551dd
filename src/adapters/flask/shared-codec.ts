import { MutationRefusedError, SessionCorruptError } from '../../errors.ts'
import type { Codec } from '../../session/codec.ts'
import type { EpochMs, Json, JsonObject, StoredSession } from '../../session/session.ts'
import { handleOf } from '../../signing/ids.ts'
import { ENDED_MARK, MOVED_MARK } from '../../stores/marks.ts'
import type { SessionId } from '../../session/session.ts'
import type { PyValue } from './python-value.ts'
import { readFlaskRecord, writeFlaskRecord } from './record.ts'
import { typedOf, valueOfTyped } from './typed-json.ts'

export interface FlaskRecordOptions {
  /** SESSION_SERIALIZATION_FORMAT. */
  readonly format: 'msgpack' | 'json'
  /** PERMANENT_SESSION_LIFETIME: how long Flask-Session lets every session live after a write. */
  readonly lifetimeMs: number
  /** Keys the public handles. */
  readonly handleSecret: string
}

/** No session is ended by its age: when it began is not written in it. */
export const NO_ABSOLUTE_MS = Number.MAX_SAFE_INTEGER

/**
 * Sessions as Flask-Session stores them: the dict alone. So what else we know of a session is either in the dict (`_permanent`), or follows
 * from the key, which is the sid (the handle), or does not exist: when it began, lifetimes of its own, what adapters keep beside the data.
 * All three formats are read; two are written.
 */
export function createFlaskRecordCodec({ format, lifetimeMs, handleSecret }: FlaskRecordOptions): Codec {
  function bytesOf({ data, permanent, idleMs, absoluteMs, jar = {} }: StoredSession): Uint8Array {
    if (idleMs < lifetimeMs || absoluteMs < NO_ABSOLUTE_MS) throw new MutationRefusedError('forbidden', 'a session shared with Flask-Session has no lifetime of its own')
    if (Object.keys(jar).length > 0) throw new MutationRefusedError('forbidden', 'nothing can be kept beside a session shared with Flask-Session')
    const { _permanent: own = permanent, ...members } = data
    const values: [string, PyValue][] = Object.entries(members).map(([name, value]) => [name, valueOfTyped(value)])
    const written = writeFlaskRecord(new Map(own === true ? [['_permanent', true], ...values] : values), format)
    if (!written.ok) throw new MutationRefusedError('type', `Flask-Session could not store this: ${written.reason}`)
    return written.bytes
  }

  return {
    encode(_key, envelope) {
      switch (envelope.kind) {
        case 'live': return bytesOf(envelope.session)
        case 'moved': return Buffer.from(`${String.fromCharCode(MOVED_MARK)}${envelope.sealedSuccessor}`)
        case 'gone': return Buffer.of(ENDED_MARK)
        default: throw new Error(`a ${envelope.kind} record cannot be kept in a store shared with Flask-Session`)
      }
    },

    decode(key, bytes) {
      if (bytes[0] === MOVED_MARK) return { kind: 'moved', sealedSuccessor: Buffer.from(bytes).toString('latin1', 1) }
      if (bytes[0] === ENDED_MARK) return { kind: 'gone' }
      const read = readFlaskRecord(bytes)
      if (!read.ok) throw new SessionCorruptError(read.reason)
      const { _permanent: permanent, ...data }: JsonObject = Object.fromEntries([...read.values].map(([name, value]): [string, Json] => [name, typedOf(value)]))
      return {
        kind: 'live',
        session: {
          handle: handleOf(key as SessionId, handleSecret), data, createdAt: 0 as EpochMs, permanent: permanent === true, idleMs: lifetimeMs, absoluteMs: NO_ABSOLUTE_MS,
        },
      }
    },
  }
}
