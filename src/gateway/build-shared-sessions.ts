import { createFlaskRecordCodec, NO_ABSOLUTE_MS } from '../adapters/flask/shared-codec.ts'
import { createFlaskIdSigner } from '../adapters/flask/shared-id.ts'
import type { Config } from '../config/schema.ts'
import type { RecordFormatConfig } from '../config/store-schema.ts'
import type { Codec } from '../session/codec.ts'
import type { LifetimePolicy } from '../session/lifetime.ts'
import type { SessionId } from '../session/session.ts'
import type { CookieSigner } from '../signing/cookie-signer.ts'

export interface SharedParts {
  readonly codec: Codec
  readonly lifetimes: Pick<LifetimePolicy, 'idleMs' | 'absoluteMs'>
  readonly storeKeyOf: (id: SessionId) => string
}

/** What is different about sessions that an app outside reads and writes too (store.recordFormat): records, lifetimes and keys are the app's. */
export function sharedPartsOf({ keys }: Config, { serializer, permanentLifetime: lifetimeMs }: RecordFormatConfig): SharedParts {
  return {
    codec: createFlaskRecordCodec({ format: serializer, lifetimeMs, handleSecret: keys.cookie[0]?.secret ?? '' }),
    lifetimes: { idleMs: lifetimeMs, absoluteMs: NO_ABSOLUTE_MS },
    storeKeyOf: (id) => id,
  }
}

/** The cookie is the app's, too. */
export function sharedIdSigner({ secretKey, secretKeyEncoding }: RecordFormatConfig): CookieSigner {
  return createFlaskIdSigner(secretKey === undefined ? undefined : Buffer.from(secretKey, secretKeyEncoding === 'text' ? 'utf8' : secretKeyEncoding))
}
